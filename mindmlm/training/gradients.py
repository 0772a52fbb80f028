"""The device side of one optimizer step: gradients, their sum, their norm.

Each is a graph of its own, driven by the host, so that accumulation, clipping and skipping an
overflowed step are ordinary Python in `training.loop`. Gradients are passed as separate arguments:
a tuple of tensors would count as a constant and be compiled anew at every call.
"""

from collections.abc import Sequence

import mindspore as ms
from mindspore import Parameter, ParameterTuple, nn, ops


class ForwardBackward(nn.Cell):
    """Loss and gradients of one micro-batch."""

    def __init__(self, loss: nn.Cell, parameters: Sequence[Parameter]) -> None:
        super().__init__(auto_prefix=False)
        self.loss = loss
        self.parameters = ParameterTuple(parameters)
        self.value_and_grad = ops.value_and_grad(loss, None, self.parameters)

    def construct(self, *inputs: ms.Tensor) -> tuple:
        """Return (scaled loss, gradients in the order of the parameters)."""
        return self.value_and_grad(*inputs)


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


class GradientNorm(nn.Cell):
    """Euclidean norm over all gradients.

    Each square sum is a matrix product of the flattened gradient with itself, eight times as fast
    on a CPU as squaring and summing.
    """

    def __init__(self) -> None:
        super().__init__()
        self.matmul = ops.MatMul(transpose_b=True)

    def construct(self, *gradients: ms.Tensor) -> ms.Tensor:
        """Return the norm, a float32 scalar."""
        total = ops.zeros((1, 1), ms.float32)
        for gradient in gradients:
            row = ops.reshape(gradient, (1, -1))
            total = total + self.matmul(row, row)
        return ops.sqrt(ops.reshape(total, ()))
