"""Optimizers of MindSpore and MindFormers, and their learning-rate schedules, in our step."""

from collections.abc import Callable, Sequence
from typing import Any

import mindspore as ms
from mindspore import Parameter, ParameterTuple, nn, ops

from mindmlm.errors import ConfigError
from mindmlm.optim.moments import PART, is_decayed

SHARED = "shared."
# Set before every update from our schedule.
_RATE = "learning_rate"
Build = Callable[[list[Any], float], nn.Optimizer]


class RegisteredSchedule:
    """Learning rate by step, of a `LearningRateSchedule` of MindSpore or MindFormers.

    It is a function of the step alone, so a resumed run goes on exactly.

    Args:
        schedule: asked once a step, outside of the graph.
    """

    def __init__(self, schedule: nn.Cell) -> None:
        self._schedule = schedule

    def at(self, step: int) -> float:
        """Learning rate of the update that follows `step` finished ones, in float32."""
        rate = self._schedule.construct(ms.Tensor(step, ms.int32))
        return float(rate.asnumpy().reshape(())) if isinstance(rate, ms.Tensor) else float(rate)


class RegisteredOptimizer(nn.Cell):
    """One update of `parameters` by an optimizer of MindSpore or MindFormers.

    The learning rate is set before every update, gradients come unscaled and clipped, and biases
    and layer norms are not decayed. The state gets the names of our checkpoints: ``KIND.NAME`` for
    what belongs to a weight, ``shared.KIND`` for the rest (counters, powers).

    Args:
        parameters: what this rank updates, maybe parts (ZeRO-1).
        build: (groups of parameters, any learning rate) -> the optimizer.
        weight_decay: of the decayed parameters; None = the optimizer knows none.

    Raises:
        ConfigError: the optimizer keeps its learning rate in another way.
    """

    def __init__(
        self, parameters: Sequence[Parameter], build: Build, weight_decay: float | None
    ) -> None:
        super().__init__(auto_prefix=False)
        self.parameters = ParameterTuple(parameters)
        self.inner = build(_groups(parameters, weight_decay), 1.0)
        if not isinstance(getattr(self.inner, _RATE, None), Parameter):
            name = type(self.inner).__name__
            raise ConfigError(
                f"optimizer.type: {name} does not take its learning rate from outside"
            )
        self._kinds: dict[str, None] = {}
        mine = {id(value) for value in parameters} | {id(getattr(self.inner, _RATE))}
        kept = [value for value in self.inner.get_parameters() if id(value) not in mine]
        for value in kept:
            value.name = self._name(value.name)
        self._state = tuple(kept)

    @property
    def kinds(self) -> tuple[str, ...]:
        """What the names of state that belongs to weights begin with."""
        return tuple(self._kinds)

    def state(self) -> tuple[Parameter, ...]:
        """Everything it remembers, which a checkpoint keeps."""
        return self._state

    def scalars(self, learning_rate: float, updates: int) -> tuple[ms.Tensor, ...]:
        """Set the learning rate; it counts updates by itself."""
        # In place: a kernel that takes the rate itself does not see other memory (`set_data`).
        ops.assign(getattr(self.inner, _RATE), ms.Tensor(learning_rate, ms.float32))
        return ()

    def construct(self, gradient_factor: ms.Tensor, *gradients: ms.Tensor) -> ms.Tensor:
        """Update every parameter with gradient * gradient_factor."""
        scaled: tuple[ms.Tensor, ...] = ()
        for gradient in gradients:
            scaled = (*scaled, gradient * gradient_factor)
        return ops.depend(gradient_factor, self.inner(scaled))

    def _name(self, name: str) -> str:
        """The name in our checkpoints of a value that the optimizer calls `name`."""
        owners = [
            value.name
            for value in self.parameters
            if name.endswith((f".{value.name}", f"_{value.name}"))
        ]
        if not owners:
            return SHARED + name
        owner = max(owners, key=len)
        kind = name.removesuffix(owner).rstrip("._") + "."
        self._kinds[kind] = None
        return kind + owner.removeprefix(PART)


def _groups(parameters: Sequence[Parameter], weight_decay: float | None) -> list[Any]:
    """Decayed and other parameters, in the order of `parameters`."""
    if not weight_decay:
        return list(parameters)
    decayed = [value for value in parameters if is_decayed(value.name)]
    others = [value for value in parameters if not is_decayed(value.name)]
    groups: list[dict[str, Any]] = [
        {"params": members, "weight_decay": decay}
        for members, decay in ((decayed, weight_decay), (others, 0.0))
        if members
    ]
    return [*groups, {"order_params": list(parameters)}]
