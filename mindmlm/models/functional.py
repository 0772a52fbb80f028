"""Operators with a cheap forward and a cheap gradient, one name each.

MindSpore's own forms of these are exact but slow on a CPU (docs/performance.md has the times). Each
Cell here has the same result, and a gradient written out by hand from operators that are fast:
matrix products with a vector of ones instead of reductions, `BiasAdd` or a tile instead of a
broadcast. Where the fused kernels can be used (`mindmlm.kernels`), the same Cell does the same by
one operator each way.
Cells that keep a value for their own gradient return it beside the result; callers take item 0.
"""

import mindspore as ms
from mindspore import nn, ops

from mindmlm.kernels import kernel, kernels_in_use

# log(Phi(x) / (1 - Phi(x))) / x as a polynomial in x**2, fitted for the smallest largest error of
# x * Phi(x) (Lawson's iteration on 0 < x <= 6.5). In float32 the error of GELU is below 6e-7.
_GELU_C0 = 1.5957684322308144
_GELU_C1 = 0.07266856702879548
_GELU_C2 = -6.625998735375615e-05
_GELU_C3 = -1.1048031704336651e-04
_GELU_C4 = 7.938218934299051e-06
_GELU_C5 = -2.6689281973774266e-07
_GELU_C6 = 3.611232857901649e-09
_INVERSE_SQRT_TWO_PI = 0.3989422804014327
_SQRT_EIGHT_OVER_PI = 1.5957691216057308
_TANH_CUBIC = 0.044715


def repeat_column(column: ms.Tensor, columns: int) -> ms.Tensor:
    """[rows, 1] -> [rows, columns], for an operation with a matrix of that shape.

    An operator of MindSpore's CPU back-end that broadcasts by itself makes a table of 16 bytes for
    each value of its result and keeps it as long as the graph lives: several times the memory of
    all activations. What is repeated here is freed after its use, and costs no more time.
    """
    return ops.Tile()(column, (1, columns))


def repeat_row(row: ms.Tensor, rows: int) -> ms.Tensor:
    """[columns] -> [rows, columns]; see `repeat_column`."""
    return ops.Tile()(ops.reshape(row, (1, -1)), (rows, 1))


class SumRows(nn.Cell):
    """[rows, columns] -> [columns]: their sum, without a kernel a product with a row of ones."""

    def __init__(self) -> None:
        super().__init__()
        self.fused = kernels_in_use()
        self.sums = kernel("ColumnSums") if self.fused else ops.MatMul()

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Return the sum over rows."""
        if self.fused:
            return self.sums(x)
        return ops.reshape(self.sums(ops.ones((1, x.shape[0]), x.dtype), x), (x.shape[1],))


class AddBias(nn.Cell):
    """x [rows, columns] + bias [columns]."""

    def __init__(self) -> None:
        super().__init__()
        self.bias_add = ops.BiasAdd()
        self.sum_rows = SumRows()

    def construct(self, x: ms.Tensor, bias: ms.Tensor) -> ms.Tensor:
        """Return x + bias."""
        return self.bias_add(x, bias)

    def bprop(self, x: ms.Tensor, bias: ms.Tensor, out: ms.Tensor, dout: ms.Tensor) -> tuple:
        """Return the gradients of x and bias."""
        return dout, self.sum_rows(dout)


class Gelu(nn.Cell):
    """Exact GELU, x * Phi(x) (Hendrycks & Gimpel 2016, eq. 1), within 1e-6 of the definition.

    Phi(x) is taken as sigmoid(x * P(x**2)): MindSpore's sigmoid is about ten times as fast as its
    erf on a CPU, and unlike its tanh (off by 1e-4) exact to 1e-6.
    """

    def __init__(self) -> None:
        super().__init__()
        self.fused = kernels_in_use()
        if self.fused:
            self.value, self.slope = kernel("GeluForward"), kernel("GeluBackward")
        self.exp = ops.Exp()
        self.sigmoid = ops.Sigmoid()

    def construct(self, x: ms.Tensor) -> tuple:
        """Return (GELU(x), Phi(x)), both of x's shape; by a kernel (GELU(x),)."""
        if self.fused:
            return (self.value(x),)
        square = x * x
        polynomial = ((_GELU_C6 * square + _GELU_C5) * square + _GELU_C4) * square + _GELU_C3
        polynomial = ((polynomial * square + _GELU_C2) * square + _GELU_C1) * square + _GELU_C0
        cdf = self.sigmoid(polynomial * x)
        return x * cdf, cdf

    def bprop(self, x: ms.Tensor, out: tuple, dout: tuple) -> tuple:
        """d GELU / dx = Phi(x) + x * phi(x)."""
        if self.fused:
            return (self.slope(x, dout[0]),)
        density = self.exp(x * x * -0.5) * _INVERSE_SQRT_TWO_PI
        return (dout[0] * (out[1] + x * density),)


class GeluTanh(nn.Cell):
    """The tanh form of GELU: x (1 + tanh(sqrt(2/pi) (x + 0.044715 x**3))) / 2 (same paper, eq. 2).

    Written with (1 + tanh(u)) / 2 = sigmoid(2 u).
    """

    def __init__(self) -> None:
        super().__init__()
        self.fused = kernels_in_use()
        if self.fused:
            self.value, self.slope = kernel("GeluTanhForward"), kernel("GeluTanhBackward")
        self.sigmoid = ops.Sigmoid()

    def construct(self, x: ms.Tensor) -> tuple:
        """Return (GELU(x), the sigmoid), both of x's shape; by a kernel (GELU(x),)."""
        if self.fused:
            return (self.value(x),)
        polynomial = x * x * (_SQRT_EIGHT_OVER_PI * _TANH_CUBIC) + _SQRT_EIGHT_OVER_PI
        gate = self.sigmoid(polynomial * x)
        return x * gate, gate

    def bprop(self, x: ms.Tensor, out: tuple, dout: tuple) -> tuple:
        """d / dx x s(v(x)) = s + x s (1 - s) v'(x)."""
        if self.fused:
            return (self.slope(x, dout[0]),)
        gate = out[1]
        slope = x * x * (3.0 * _SQRT_EIGHT_OVER_PI * _TANH_CUBIC) + _SQRT_EIGHT_OVER_PI
        return (dout[0] * gate * (1.0 + x * (1.0 - gate) * slope),)


class Relu(nn.Cell):
    """max(x, 0), in the form of the activations above."""

    def __init__(self) -> None:
        super().__init__()
        self.relu = ops.ReLU()

    def construct(self, x: ms.Tensor) -> tuple:
        """Return (ReLU(x),)."""
        return (self.relu(x),)


class Normalize(nn.Cell):
    """Layer normalisation over the last axis (Ba et al. 2016) of x [rows, columns]."""

    def __init__(self, epsilon: float) -> None:
        super().__init__()
        self.fused = kernels_in_use()
        if self.fused:
            self.forward, self.backward = kernel("LayerNormForward"), kernel("LayerNormBackward")
            self.settings = ms.Tensor([epsilon], ms.float32)
        self.epsilon = epsilon
        self.matmul = ops.MatMul()
        self.sum_rows = SumRows()
        self.bias_add = ops.BiasAdd()
        self.rsqrt = ops.Rsqrt()

    def mean(self, x: ms.Tensor) -> ms.Tensor:
        """Mean over columns, [rows, 1]."""
        return self.matmul(x, ops.ones((x.shape[1], 1), x.dtype)) * (1.0 / x.shape[1])

    def construct(self, x: ms.Tensor, weight: ms.Tensor, bias: ms.Tensor) -> tuple:
        """Return (normalised x * weight + bias, normalised x, 1 / standard deviation).

        By a kernel the second one is the mean of each row.
        """
        if self.fused:
            return self.forward(x, weight, bias, self.settings)
        rows, columns = x.shape
        centred = x - repeat_column(self.mean(x), columns)
        rstd = self.rsqrt(self.mean(centred * centred) + self.epsilon)
        normalised = centred * repeat_column(rstd, columns)
        scaled = normalised * repeat_row(weight, rows)
        return self.bias_add(scaled, bias), normalised, rstd

    def bprop(
        self, x: ms.Tensor, weight: ms.Tensor, bias: ms.Tensor, out: tuple, dout: tuple
    ) -> tuple:
        """Gradients of x, weight and bias from the saved values."""
        if self.fused:
            return self.backward(x, weight, out[1], out[2], dout[0])
        normalised, rstd = out[1], out[2]
        rows, columns = x.shape
        dnormalised = dout[0] * repeat_row(weight, rows)
        mean = repeat_column(self.mean(dnormalised), columns)
        projection = repeat_column(self.mean(dnormalised * normalised), columns)
        dx = (dnormalised - mean - normalised * projection) * repeat_column(rstd, columns)
        return dx, self.sum_rows(dout[0] * normalised), self.sum_rows(dout[0])


class DropMasked(nn.Cell):
    """x * keep * scale with keep of bool, for dropout; keep has x's values in any shape.

    The kernel looks at no shape: to reshape a mask, which is an input of the graph, is a copy.
    """

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.fused = kernels_in_use()
        if self.fused:
            self.apply_mask = kernel("DropoutApply")
            self.settings = ms.Tensor([scale], ms.float32)
        self.scale = scale
        self.cast = ops.Cast()

    def construct(self, x: ms.Tensor, keep: ms.Tensor) -> ms.Tensor:
        """Return the values that are kept, scaled, and 0 for the others."""
        if self.fused:
            return self.apply_mask(x, keep, self.settings)
        keep = ops.reshape(keep, x.shape)
        return x * (self.cast(keep, x.dtype) * self.scale)

    def bprop(self, x: ms.Tensor, keep: ms.Tensor, out: ms.Tensor, dout: ms.Tensor) -> tuple:
        """The gradient is dropped where the value was."""
        return self.construct(dout, keep), ops.zeros_like(keep)


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
        return ((dout - ops.reshape(repeat_column(inner, columns), x.shape)) * out,)


class SplitHeads(nn.Cell):
    """[batch, sequence, heads * size] -> [batch, heads, sequence, size].

    Pieces that are put together again: MindSpore's Transpose of four axes makes a table of eight
    bytes for each value on a CPU, keeps it as long as the graph lives, and takes longer.

    Args:
        head_size: `size`.
    """

    def __init__(self, head_size: int) -> None:
        super().__init__()
        self.head_size = head_size

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Return the heads of x, one after the other."""
        return _split_heads(x, x.shape[2] // self.head_size)

    def bprop(self, x: ms.Tensor, out: ms.Tensor, dout: ms.Tensor) -> tuple:
        """The gradient goes the way back."""
        return (_join_heads(dout),)


class JoinHeads(nn.Cell):
    """[batch, heads, sequence, size] -> [batch, sequence, heads * size]; see `SplitHeads`."""

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Return the heads of x beside each other."""
        return _join_heads(x)

    def bprop(self, x: ms.Tensor, out: ms.Tensor, dout: ms.Tensor) -> tuple:
        """The gradient goes the way back."""
        return (_split_heads(dout, x.shape[1]),)


def _split_heads(x: ms.Tensor, heads: int) -> ms.Tensor:
    batch, sequence, width = x.shape
    pieces = ops.Concat(1)(ops.Split(2, heads)(x))
    return ops.reshape(pieces, (batch, heads, sequence, width // heads))


def _join_heads(x: ms.Tensor) -> ms.Tensor:
    batch, heads, sequence, size = x.shape
    return ops.Concat(2)(ops.Split(1, heads)(ops.reshape(x, (batch, heads * sequence, size))))


class Lookup(nn.Cell):
    """Rows of a table: table [rows, columns], ids int32 [n] -> [n, columns]."""

    def __init__(self) -> None:
        super().__init__()
        self.gather = ops.Gather()

    def construct(self, table: ms.Tensor, ids: ms.Tensor) -> ms.Tensor:
        """Return table[ids]."""
        return self.gather(table, ids, 0)


class HoldRows(nn.Cell):
    """x [rows, columns] itself; its gradient is 0 in the rows where `keep` [rows] is 0."""

    def construct(self, x: ms.Tensor, keep: ms.Tensor) -> ms.Tensor:
        """Return x."""
        return x

    def bprop(self, x: ms.Tensor, keep: ms.Tensor, out: ms.Tensor, dout: ms.Tensor) -> tuple:
        """Return the gradient of x."""
        kept = repeat_column(ops.reshape(keep, (-1, 1)), x.shape[1])
        return dout * kept, ops.zeros_like(keep)


class MostLikely(nn.Cell):
    """Number of the largest logit of each row."""

    def construct(self, logits: ms.Tensor) -> ms.Tensor:
        """[rows, classes] -> int32 [rows]; the first one where several are equal."""
        return ops.cast(ops.argmax(logits, -1), ms.int32)


class InnerProduct(nn.Cell):
    """sum(y * sensitivity) for its gradient: that of y is `sensitivity`.

    The value itself is not computed (0 is returned): it only starts a backward pass in the middle
    of a model.
    """

    def construct(self, y: ms.Tensor, sensitivity: ms.Tensor) -> ms.Tensor:
        """Return a scalar."""
        return ops.reshape(y, (-1,))[0] * 0.0

    def bprop(self, y: ms.Tensor, sensitivity: ms.Tensor, out: ms.Tensor, dout: ms.Tensor) -> tuple:
        """The gradient of y."""
        return sensitivity, ops.zeros_like(sensitivity)
