"""Operators with a cheap forward and a cheap gradient, one name each.

MindSpore's own forms of these are exact but slow on a CPU (docs/performance.md has the times). Each
Cell here has the same result, and a gradient written out by hand from operators that are fast:
matrix products with a vector of ones instead of reductions, `BiasAdd` instead of a broadcast.
Cells that keep a value for their own gradient return it beside the result; callers take item 0.
"""

import mindspore as ms
from mindspore import nn, ops

# atanh(erf(x / sqrt 2)) / x as a polynomial in x**2, fitted for the smallest largest error of
# x * Phi(x) (Lawson's iteration on 0 < x <= 6.5). In float32 the error of GELU is below 6e-7.
_GELU_C0 = 0.7978842161154072
_GELU_C1 = 0.03633428351439773
_GELU_C2 = -3.312999367687808e-05
_GELU_C3 = -5.524015852168325e-05
_GELU_C4 = 3.9691094671495254e-06
_GELU_C5 = -1.3344640986471332e-07
_GELU_C6 = 1.8056164289508246e-09
_INVERSE_SQRT_TWO_PI = 0.3989422804014327
_SQRT_TWO_OVER_PI = 0.7978845608028654
_TANH_CUBIC = 0.044715


def _sum_rows(matmul: ops.MatMul, x: ms.Tensor) -> ms.Tensor:
    """[rows, columns] -> [columns], as a product with a row of ones."""
    return ops.reshape(matmul(ops.ones((1, x.shape[0]), x.dtype), x), (x.shape[1],))


class AddBias(nn.Cell):
    """x [rows, columns] + bias [columns]; the bias gradient is one matrix product."""

    def __init__(self) -> None:
        super().__init__()
        self.bias_add = ops.BiasAdd()
        self.matmul = ops.MatMul()

    def construct(self, x: ms.Tensor, bias: ms.Tensor) -> ms.Tensor:
        """Return x + bias."""
        return self.bias_add(x, bias)

    def bprop(self, x: ms.Tensor, bias: ms.Tensor, out: ms.Tensor, dout: ms.Tensor) -> tuple:
        """Return the gradients of x and bias."""
        return dout, _sum_rows(self.matmul, dout)


class Gelu(nn.Cell):
    """Exact GELU, x * Phi(x) (Hendrycks & Gimpel 2016, eq. 1), within 1e-6 of the definition.

    Phi(x) = (1 + erf(x / sqrt 2)) / 2 is taken as (1 + tanh(x * P(x**2))) / 2, because tanh is about
    twenty times as fast as erf on a CPU.
    """

    def __init__(self) -> None:
        super().__init__()
        self.exp = ops.Exp()
        self.tanh = ops.Tanh()

    def construct(self, x: ms.Tensor) -> tuple:
        """Return (GELU(x), Phi(x)), both of x's shape."""
        square = x * x
        polynomial = ((_GELU_C6 * square + _GELU_C5) * square + _GELU_C4) * square + _GELU_C3
        polynomial = ((polynomial * square + _GELU_C2) * square + _GELU_C1) * square + _GELU_C0
        cdf = self.tanh(polynomial * x) * 0.5 + 0.5
        return x * cdf, cdf

    def bprop(self, x: ms.Tensor, out: tuple, dout: tuple) -> tuple:
        """d GELU / dx = Phi(x) + x * phi(x)."""
        density = self.exp(x * x * -0.5) * _INVERSE_SQRT_TWO_PI
        return (dout[0] * (out[1] + x * density),)


class GeluTanh(nn.Cell):
    """The tanh form of GELU: x (1 + tanh(sqrt(2/pi) (x + 0.044715 x**3))) / 2 (same paper, eq. 2)."""

    def __init__(self) -> None:
        super().__init__()
        self.tanh = ops.Tanh()

    def construct(self, x: ms.Tensor) -> tuple:
        """Return (GELU(x), the tanh), both of x's shape."""
        inner = self.tanh((x * x * (_SQRT_TWO_OVER_PI * _TANH_CUBIC) + _SQRT_TWO_OVER_PI) * x)
        return (inner * 0.5 + 0.5) * x, inner

    def bprop(self, x: ms.Tensor, out: tuple, dout: tuple) -> tuple:
        """Product rule on x / 2 and 1 + tanh(u(x))."""
        inner = out[1]
        slope = x * x * (3.0 * _SQRT_TWO_OVER_PI * _TANH_CUBIC) + _SQRT_TWO_OVER_PI
        return (dout[0] * (inner * 0.5 + 0.5 + (1.0 - inner * inner) * slope * x * 0.5),)


class Normalize(nn.Cell):
    """Layer normalisation over the last axis (Ba et al. 2016) of x [rows, columns]."""

    def __init__(self, epsilon: float) -> None:
        super().__init__()
        self.epsilon = epsilon
        self.matmul = ops.MatMul()
        self.bias_add = ops.BiasAdd()
        self.rsqrt = ops.Rsqrt()

    def mean(self, x: ms.Tensor) -> ms.Tensor:
        """Mean over columns, [rows, 1]."""
        return self.matmul(x, ops.ones((x.shape[1], 1), x.dtype)) * (1.0 / x.shape[1])

    def construct(self, x: ms.Tensor, weight: ms.Tensor, bias: ms.Tensor) -> tuple:
        """Return (normalised x * weight + bias, normalised x, 1 / standard deviation)."""
        centred = x - self.mean(x)
        rstd = self.rsqrt(self.mean(centred * centred) + self.epsilon)
        normalised = centred * rstd
        return self.bias_add(normalised * weight, bias), normalised, rstd

    def bprop(
        self, x: ms.Tensor, weight: ms.Tensor, bias: ms.Tensor, out: tuple, dout: tuple
    ) -> tuple:
        """Gradients of x, weight and bias from the saved normalised values."""
        normalised, rstd = out[1], out[2]
        dnormalised = dout[0] * weight
        projection = self.mean(dnormalised * normalised)
        dx = (dnormalised - self.mean(dnormalised) - normalised * projection) * rstd
        dweight = _sum_rows(self.matmul, dout[0] * normalised)
        return dx, dweight, _sum_rows(self.matmul, dout[0])


class Softmax(nn.Cell):
    """Softmax over the last axis; the inner product of its gradient is a matrix product."""

    def __init__(self) -> None:
        super().__init__()
        self.softmax = ops.Softmax(-1)
        self.matmul = ops.MatMul()

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Return softmax(x) of x's shape."""
        return self.softmax(x)

    def bprop(self, x: ms.Tensor, out: ms.Tensor, dout: ms.Tensor) -> tuple:
        """dx = out * (dout - sum(dout * out))."""
        columns = x.shape[-1]
        product = ops.reshape(dout * out, (-1, columns))
        inner = self.matmul(product, ops.ones((columns, 1), x.dtype))
        return ((dout - ops.reshape(inner, (*x.shape[:-1], 1))) * out,)


class WeightedCrossEntropy(nn.Cell):
    """Sum over rows of weight * -log softmax(logits)[label]."""

    def __init__(self) -> None:
        super().__init__()
        self.log_softmax = ops.LogSoftmax(-1)
        self.exp = ops.Exp()

    def construct(self, logits: ms.Tensor, labels: ms.Tensor, weights: ms.Tensor) -> tuple:
        """logits [rows, classes], labels int32 [rows], weights [rows] -> (sum [], log p)."""
        log_probabilities = self.log_softmax(logits)
        picked = ops.gather_elements(log_probabilities, 1, ops.reshape(labels, (-1, 1)))
        return -ops.sum(ops.reshape(picked, (-1,)) * weights), log_probabilities

    def bprop(
        self, logits: ms.Tensor, labels: ms.Tensor, weights: ms.Tensor, out: tuple, dout: tuple
    ) -> tuple:
        """dlogits = weight * (softmax - one-hot)."""
        row_scale = ops.reshape(weights * dout[0], (-1, 1))
        one_hot = ops.one_hot(
            labels, logits.shape[1], ms.Tensor(1.0, logits.dtype), ms.Tensor(0.0, logits.dtype)
        )
        dlogits = (self.exp(out[1]) - one_hot) * row_scale
        return dlogits, ops.zeros_like(labels), ops.zeros_like(weights)
