"""One optimizer step, driven by the host: accumulate, unscale, clip, update or skip."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import mindspore as ms
import numpy as np
from mindspore import Parameter, nn

from mindmlm.optim.adamw import AdamW
from mindmlm.optim.schedules import Schedule
from mindmlm.training.gradients import Accumulate, ForwardBackward, GradientNorm
from mindmlm.training.state import TrainState

Phase = Callable[[str], AbstractContextManager[None]]


@dataclass(frozen=True)
class MicroBatch:
    """Inputs of one forward and backward pass, in the order of the loss.

    Args:
        inputs: arrays of the task.
        keeps: dropout masks.
        weight: number of positions that count in the loss.
        tokens: number of tokens that are not padding.
    """

    inputs: tuple[np.ndarray, ...]
    keeps: tuple[np.ndarray, ...]
    weight: float
    tokens: int


@dataclass(frozen=True)
class StepResult:
    """What one step did.

    Args:
        loss: sum over chosen positions / their number, over the whole global batch.
        gradient_norm: Euclidean norm of the unscaled gradient, before clipping.
        learning_rate: of this step.
        loss_scale: that this step was run with.
        overflow: whether the gradient was not finite, so that the weights were left alone.
    """

    loss: float
    gradient_norm: float
    learning_rate: float
    loss_scale: float
    overflow: bool


class TrainStep:
    """Runs steps of a model.

    Args:
        loss: Cell that maps (scale, inputs, keeps) to the scaled loss sum.
        parameters: trained parameters, in the optimizer's order.
        optimizer: updates them.
        schedule: learning rate by step.
        max_grad_norm: clip the gradient to this Euclidean norm; None = do not clip.
        phase: context manager that times a named phase.
    """

    def __init__(
        self,
        loss: nn.Cell,
        parameters: Sequence[Parameter],
        optimizer: AdamW,
        schedule: Schedule,
        max_grad_norm: float | None,
        phase: Phase,
    ) -> None:
        self.forward_backward = ForwardBackward(loss, parameters)
        self.accumulate = Accumulate()
        self.gradient_norm = GradientNorm()
        self.optimizer = optimizer
        self.schedule = schedule
        self.max_grad_norm = max_grad_norm
        self.phase = phase

    def run(self, micro_batches: Sequence[MicroBatch], state: TrainState) -> StepResult:
        """Do the step that follows `state`; the weights change in place, `state` does not.

        A gradient that is not finite changes no weight. Losses are added on the host in float64.
        """
        self.forward_backward.set_train(True)
        scale = state.loss_scale.value
        with self.phase("forward_backward"):
            loss, gradients = self._gradients(micro_batches, scale)
        with self.phase("gradient_norm"):
            norm = float(self.gradient_norm(*gradients).asnumpy()) / scale
        learning_rate = self.schedule.at(state.step)
        overflow = not math.isfinite(norm)
        if not overflow:
            with self.phase("update"):
                self._update(gradients, norm, scale, learning_rate, state.updates)
        return StepResult(loss, norm, learning_rate, scale, overflow)

    def _gradients(
        self, micro_batches: Sequence[MicroBatch], scale: float
    ) -> tuple[float, tuple[ms.Tensor, ...]]:
        total_weight = max(1.0, math.fsum(micro.weight for micro in micro_batches))
        factor = ms.Tensor(scale / total_weight, ms.float32)
        loss, gradients = 0.0, ()
        for micro in micro_batches:
            part, new = self.forward_backward(factor, *_tensors(micro))
            gradients = self.accumulate(*gradients, *new) if gradients else new
            loss += float(part.asnumpy())
        return loss / scale, gradients

    def _update(
        self,
        gradients: tuple[ms.Tensor, ...],
        norm: float,
        scale: float,
        learning_rate: float,
        updates: int,
    ) -> None:
        clip = 1.0
        if self.max_grad_norm is not None and norm > self.max_grad_norm:
            clip = self.max_grad_norm / norm
        factor = ms.Tensor(clip / scale, ms.float32)
        self.optimizer(
            *self.optimizer.scalars(learning_rate, updates), factor, *gradients
        ).asnumpy()


def _tensors(micro: MicroBatch) -> Iterator[ms.Tensor]:
    return (ms.Tensor.from_numpy(array) for array in (*micro.inputs, *micro.keeps))
