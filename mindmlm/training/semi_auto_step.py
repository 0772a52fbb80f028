"""One optimizer step as a single graph, which MindSpore's semi-automatic engine divides.

Where `train_step` drives many small graphs from the host, here loss, gradients, their norm,
clipping and update are one, so that the engine can put collectives between any two operators.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Parameter, ParameterTuple, nn, ops

from mindmlm.errors import MindmlmError
from mindmlm.optim.adamw import AdamW
from mindmlm.parallel.agreement import Agreement
from mindmlm.parallel.micro_batch import MicroBatch
from mindmlm.training.state import TrainState
from mindmlm.training.train_step import Phase, StepResult, StepSettings, batch_counts

_SUMS = "accu_grads"
# The engine looks for this attribute behind the square sum of a gradient, and adds up the ranks.
_expand = ops.ExpandDims().add_prim_attr("grad_scale", True)
_square_sum = ops.MultitypeFuncGraph("square_sum")


@_square_sum.register("Tensor")
def _square_sum_of_tensor(gradient: ms.Tensor) -> ms.Tensor:
    total = ops.ReduceSum(False)(ops.square(gradient), ())
    return _expand(ops.cast(total, ms.float32), 0)


class EngineAdamW(AdamW):
    """`AdamW` whose state the engine cuts like the weights, because it is cloned from them."""

    def moments(self, parameters: Sequence[Parameter], prefix: str) -> list[Parameter]:
        """See `AdamW`."""
        made = [value.clone(init="zeros") for value in parameters]
        for value, moment in zip(parameters, made, strict=True):
            moment.name = prefix + value.name
        return made


class EngineStep(nn.Cell):
    """Arrays of all micro-batches -> (loss, gradient norm); updates the weights.

    Numbers that change from step to step are parameters, as every input is taken for a part of the
    batch.

    Args:
        network: arrays -> loss, summed over micro-batches.
        optimizer: updates the weights.
        max_grad_norm: clip the gradient to this Euclidean norm; None = do not clip.
        sums: whether the engine adds up the gradients of micro-batches in parameters of this Cell.
        cut: whether gradients are cut like a parallel optimizer's state.
    """

    def __init__(
        self,
        network: nn.Cell,
        optimizer: AdamW,
        max_grad_norm: float | None,
        sums: bool,
        cut: bool,
    ) -> None:
        super().__init__(auto_prefix=False)
        self.network = network
        self.network.add_flags(defer_inline=True)
        self.optimizer = optimizer
        self.weights = optimizer.parameters
        self.clips = max_grad_norm is not None
        self.max_grad_norm = max_grad_norm or 0.0
        self.has_sums, self.cut = sums, cut
        self.sums = self.weights.clone(prefix=_SUMS, init="zeros") if sums else ParameterTuple([])
        self.gradient = ops.GradOperation(get_by_list=True, sens_param=True)
        self.map = ops.HyperMap()
        self.numbers = ParameterTuple(
            [_number(name) for name in ("loss_scale", "step_size", "eps", "kept")]
        )

    def set_numbers(self, loss_scale: float, scalars: Sequence[ms.Tensor]) -> None:
        """Tell the next step its loss scale and the scalars of `AdamW.scalars`."""
        for number, value in zip(
            self.numbers, (ms.Tensor(loss_scale, ms.float32), *scalars), strict=True
        ):
            number.set_data(value)

    def construct(self, *inputs: ms.Tensor) -> tuple:
        """Do a step; where the gradient is not finite, the weights stay as they are."""
        loss = self.network(*inputs)
        scale = self.numbers[0]
        sensitivity = ops.ones_like(loss) * scale
        gradients = self.gradient(self.network, self.weights)(*inputs, sensitivity)
        if self.has_sums and not self.cut:
            gradients = ops.depend(self.sums, gradients)
        norm = ops.sqrt(ops.addn(self.map(_square_sum, gradients))) / scale
        factor = ops.ones_like(norm)
        if self.clips:
            factor = ops.minimum(factor, self.max_grad_norm / norm)
        good = ops.isfinite(norm)
        # A fused kernel that is given a parameter as its scalar keeps the value of the first step
        # (seen on a CPU); a product is computed anew.
        one = ops.reshape(ops.cast(good, ms.float32), ())
        size, eps, kept = self.numbers[1] * one, self.numbers[2] * one, self.numbers[3]
        done = loss
        if good:
            done = ops.depend(loss, self.optimizer(size, eps, kept, factor / scale, *gradients))
        if self.has_sums:
            done = ops.depend(done, self.map(_clear, self.sums, gradients))
        return done, norm


_clear = ops.MultitypeFuncGraph("clear")


@_clear.register("Tensor", "Tensor")
def _clear_tensor(total: ms.Tensor, used: ms.Tensor) -> ms.Tensor:
    total = ops.depend(total, used)
    return ops.assign(total, ops.zeros_like(total))


def _number(name: str) -> Parameter:
    return Parameter(ms.Tensor(1.0, ms.float32), name=f"step.{name}", requires_grad=False)


class SemiAutoTrainStep:
    """The host's side of a step; takes the place of `TrainStep`.

    Args:
        step: (arrays) -> loss and norm: an `EngineStep`, divided by the engine.
        numbers: the `EngineStep` itself.
        arrays: (micro-batches, weight of the global batch) -> what the step takes.
        whole_batch: whether each rank has all rows of the global batch.
        agreement: with the other ranks.
        settings: see `StepSettings`.
        phase: context manager that times a named phase.
    """

    def __init__(
        self,
        step: Callable[..., Any],
        numbers: EngineStep,
        arrays: Callable[[Sequence[MicroBatch], float], list[np.ndarray]],
        whole_batch: bool,
        agreement: Agreement,
        settings: StepSettings,
        phase: Phase,
    ) -> None:
        self.step = step
        self.numbers = numbers
        self.arrays = arrays
        self.whole_batch = whole_batch
        self.agreement = agreement
        self.settings = settings
        self.phase = phase

    def run(
        self,
        micro_batches: Sequence[MicroBatch],
        state: TrainState,
        stop_requested: Callable[[], bool] = lambda: False,
    ) -> StepResult:
        """Do the step that follows `state`; the weights change in place, `state` does not.

        Raises:
            MindmlmError: the engine has given ranks different gradient norms.
        """
        place, scale = self.agreement.place, state.loss_scale.value
        speaks = place.is_main if self.whole_batch else place.reads_data
        weight, tokens = self.agreement.sums(batch_counts(micro_batches), speaks)
        learning_rate = self.settings.schedule.at(state.step)
        optimizer = self.numbers.optimizer
        self.numbers.set_numbers(scale, optimizer.scalars(learning_rate, state.updates))
        factor = self.settings.gradient_factor
        with self.phase("forward_backward"):
            arrays = self.arrays(micro_batches, weight / factor)
            loss, norm = self.step(*(ms.Tensor.from_numpy(array) for array in arrays))
            mine = [float(loss.asnumpy()), float(norm.asnumpy()[0]), float(stop_requested())]
        rows = self.agreement.rows(mine)
        loss_of_all = rows[-1, 0]  # only the last stage has it
        norms = rows[:, 1]
        _check_equal(norms)
        overflow = not np.isfinite(norms).all()
        return StepResult(
            loss=float(loss_of_all) / factor,
            gradient_norm=math.nan if overflow else float(norms[0]),
            learning_rate=learning_rate,
            loss_scale=scale,
            overflow=overflow,
            tokens=round(tokens),
            stop=bool(rows[:, 2].any()),
        )


def _check_equal(norms: np.ndarray) -> None:
    """Ranks that do not agree about the norm clip, skip and update differently."""
    if not np.allclose(norms, norms[0], rtol=1e-3, equal_nan=True):
        shown = ", ".join(f"{rank}: {norm:.6g}" for rank, norm in enumerate(norms))
        raise MindmlmError(
            "parallel_mode 1: ranks have different gradient norms, so MindSpore's engine did not "
            f"add them up over all ranks ({shown}); use --parallel.parallel_mode 3, and see "
            "docs/ascend.md"
        )
