"""Matrix products by fused kernels, with the gradients of a linear layer."""

import mindspore as ms
from mindspore import nn

from mindmlm.kernels import kernel


class Product(nn.Cell):
    """x [rows, inner] @ weight [outputs, inner].T"""

    def __init__(self) -> None:
        super().__init__()
        self.product = kernel("Product")
        self.input_gradient = kernel("InputGradient")
        self.weight_gradient = kernel("WeightGradient")

    def construct(self, x: ms.Tensor, weight: ms.Tensor) -> ms.Tensor:
        """Return [rows, outputs]."""
        return self.product(x, weight)

    def bprop(self, x: ms.Tensor, weight: ms.Tensor, out: ms.Tensor, dout: ms.Tensor) -> tuple:
        """Return the gradients of x and weight."""
        return self.input_gradient(dout, weight), self.weight_gradient(dout, x)


class ProductWithBias(nn.Cell):
    """x [rows, inner] @ weight [outputs, inner].T + bias [outputs]"""

    def __init__(self) -> None:
        super().__init__()
        self.product = kernel("DenseForward")
        self.input_gradient = kernel("InputGradient")
        self.weight_gradient = kernel("WeightGradient")
        self.sums = kernel("ColumnSums")

    def construct(self, x: ms.Tensor, weight: ms.Tensor, bias: ms.Tensor) -> ms.Tensor:
        """Return [rows, outputs]."""
        return self.product(x, weight, bias)

    def bprop(
        self, x: ms.Tensor, weight: ms.Tensor, bias: ms.Tensor, out: ms.Tensor, dout: ms.Tensor
    ) -> tuple:
        """Return the gradients of x, weight and bias."""
        return self.input_gradient(dout, weight), self.weight_gradient(dout, x), self.sums(dout)
