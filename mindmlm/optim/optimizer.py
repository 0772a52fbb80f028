"""What the training step and checkpoints ask of an optimizer."""

from collections.abc import Sequence
from typing import Any, Protocol

from mindspore import Parameter, Tensor


class Optimizer(Protocol):
    """Updates the parts of the weights that this rank has.

    Attributes:
        kinds: what the names of its state begin with, one for each value that it keeps of a
            weight: ``KIND + NAME`` has the shape of the part of NAME, or belongs to the whole of
            it. State with other names belongs to no weight and is the same on all ranks.
    """

    @property
    def kinds(self) -> Sequence[str]:
        """See the class."""

    def state(self) -> Sequence[Parameter]:
        """What a checkpoint keeps."""

    def scalars(self, learning_rate: float, updates: int) -> tuple[Tensor, ...]:
        """First arguments of a call; `updates` were done before."""

    def __call__(self, *arguments: Any) -> Any:
        """Update with (*scalars, gradient_factor, *gradients); returns a tensor to wait for."""
