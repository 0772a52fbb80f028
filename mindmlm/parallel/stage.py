"""The device side of a pipeline stage: graphs of its parts, driven by the host.

Gradients are passed as separate arguments: a tuple of tensors would count as a constant and be
compiled anew at every call.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import mindspore as ms
from mindspore import Parameter, ParameterTuple, nn, ops

from mindmlm.models.functional import InnerProduct
from mindmlm.models.graph import Graph


class ForwardBackward(Graph):
    """Loss, and gradients of the input activations and of parameters, of one micro-batch."""

    def __init__(self, loss: nn.Cell, parameters: Sequence[Parameter]) -> None:
        super().__init__(auto_prefix=False)
        self.loss = loss
        self.parameters = ParameterTuple(parameters)
        self.value_and_grad = ops.value_and_grad(loss, 0, self.parameters)

    def parts(self) -> tuple[object, ...]:
        """The function that MindSpore makes for the gradient has nothing else in it."""
        return self.loss, tuple(value.name for value in self.parameters)

    def construct(self, x: ms.Tensor, *inputs: ms.Tensor) -> tuple:
        """Return (scaled loss, (gradient of x, gradients in the order of the parameters)).

        A loss of several terms is a vector of them; the gradients are those of their sum.
        """
        return self.value_and_grad(x, *inputs)


class MiddleLoss(nn.Cell):
    """Stands for the loss in a part that does not reach it: outputs times their sensitivity."""

    def __init__(self, forward: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.forward = forward
        self.inner_product = InnerProduct()

    def construct(self, x: ms.Tensor, sensitivity: ms.Tensor, *inputs: ms.Tensor) -> ms.Tensor:
        """A scalar whose gradient is that of the loss, given the gradient of the outputs."""
        return self.inner_product(self.forward(x, *inputs), sensitivity)


class Accumulate(nn.Cell):
    """Sum of two sets of gradients."""

    def __init__(self) -> None:
        super().__init__()
        self.map = ops.HyperMap()
        self.add = ops.Add()

    def construct(self, *both: ms.Tensor) -> tuple:
        """`both` holds one set of gradients after the other; return their sum."""
        half = len(both) // 2
        return self.map(self.add, both[:half], both[half:])


@dataclass
class StagePart:
    """Consecutive layers of a stage whose activations are kept or recomputed together.

    Args:
        forward: Cell (x, *inputs, *keeps) -> activations; None for the part with the loss.
        backward: Cell (x, sensitivity or scale, *inputs, *keeps) -> see `ForwardBackward`.
        keeps: which of the stage's dropout masks belong to it.
    """

    forward: nn.Cell | None
    backward: ForwardBackward
    keeps: slice

    @classmethod
    def middle(cls, forward: nn.Cell, parameters: Sequence[Parameter], keeps: slice) -> "StagePart":
        """A part that hands activations on."""
        return cls(forward, ForwardBackward(MiddleLoss(forward), parameters), keeps)

    @classmethod
    def with_loss(cls, loss: nn.Cell, parameters: Sequence[Parameter], keeps: slice) -> "StagePart":
        """The part that ends in the loss."""
        return cls(None, ForwardBackward(loss, parameters), keeps)

    def set_train(self) -> None:
        """Switch dropout on."""
        self.backward.set_train(True)
        if self.forward is not None:
            self.forward.set_train(True)
