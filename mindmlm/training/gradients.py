"""How large a gradient is."""

from collections.abc import Sequence

import mindspore as ms
from mindspore import nn, ops

from mindmlm.kernels import kernel, kernels_in_use


class GradientSquares(nn.Cell):
    """Sums of squares over gradients.

    Without a kernel each square sum is a matrix product of the flattened gradient with itself,
    eight times as fast on a CPU as squaring and summing.

    Args:
        counted: for each gradient, whether this process is the one that counts it.
    """

    def __init__(self, counted: Sequence[bool]) -> None:
        super().__init__()
        self.counted = tuple(counted)
        self.fused = kernels_in_use()
        self.sum = kernel("SquareSum") if self.fused else ops.MatMul(transpose_b=True)

    def construct(self, *gradients: ms.Tensor) -> ms.Tensor:
        """Return float32 [2]: over the gradients that are counted, and over all of them."""
        total = ops.zeros((1, 1), ms.float32)
        every = ops.zeros((1, 1), ms.float32)
        for index in range(len(gradients)):
            squares = self.square_sum(gradients[index])
            every = every + squares
            if self.counted[index]:
                total = total + squares
        return ops.reshape(ops.concat((total, every), 0), (2,))

    def square_sum(self, gradient: ms.Tensor) -> ms.Tensor:
        """Of one of them, [1, 1]."""
        if self.fused:
            return ops.reshape(self.sum(gradient), (1, 1))
        row = ops.reshape(gradient, (1, -1))
        return self.sum(row, row)
