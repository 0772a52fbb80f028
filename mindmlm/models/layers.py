"""Building blocks of the models: linear layer, normalisation, activation, dropout, attention.

Activations travel as matrices [batch * sequence, features], the layout matrix products like best.
Parameters and everything but matrix products are float32; `compute_dtype` says what the matrix
products use (float16 or bfloat16 halves their memory on Ascend).
"""

import mindspore as ms
from mindspore import Parameter, nn, ops
from mindspore.common.initializer import initializer

from mindmlm.kernels import kernels_in_use
from mindmlm.models.attention import Attend
from mindmlm.models.functional import (
    AddBias,
    DropMasked,
    Gelu,
    GeluTanh,
    JoinHeads,
    Normalize,
    Relu,
    Softmax,
    SplitHeads,
)
from mindmlm.models.products import Product, ProductWithBias
from mindmlm.models.spans import Span

_ACTIVATIONS: dict[str, type[nn.Cell]] = {"gelu": Gelu, "gelu_tanh": GeluTanh, "relu": Relu}
_MASKED_SCORE = -1.0e9


def parameter(shape: tuple[int, ...], name: str) -> Parameter:
    """A float32 parameter of zeros; its values come from `initialization` or a checkpoint."""
    return Parameter(initializer("zeros", shape, ms.float32), name=name)


def number_layers(layers: nn.CellList, prefix: str, span: Span) -> None:
    """Name the parameters of a span's layers after their numbers in the whole model.

    To be called when the model is complete: MindSpore names parameters after their place in the
    Cell, anew for every Cell around it.
    """
    for number, layer in enumerate(layers, start=span.start):
        for name, value in layer.parameters_and_names():
            value.name = f"{prefix}.{number}.{name}"


class Matmul(nn.Cell):
    """a @ b.T (or a @ b) with both sides in `compute_dtype` and a float32 result."""

    def __init__(self, compute_dtype: str, transpose_b: bool = True, batched: bool = False) -> None:
        super().__init__()
        self.low_precision = compute_dtype != "float32"
        self.fused = kernels_in_use() and transpose_b and not (batched or self.low_precision)
        self.dtype = getattr(ms, compute_dtype)
        operator = ops.BatchMatMul if batched else ops.MatMul
        self.matmul = Product() if self.fused else operator(transpose_b=transpose_b)
        self.cast = ops.Cast()

    def construct(self, a: ms.Tensor, b: ms.Tensor) -> ms.Tensor:
        """Return the product in float32."""
        if self.low_precision:
            product = self.matmul(self.cast(a, self.dtype), self.cast(b, self.dtype))
            return self.cast(product, ms.float32)
        return self.matmul(a, b)


class Dense(nn.Cell):
    """y = x @ weight.T + bias for x [rows, in_features]; weight [out_features, in_features]."""

    def __init__(self, in_features: int, out_features: int, compute_dtype: str) -> None:
        super().__init__()
        self.weight = parameter((out_features, in_features), "weight")
        self.bias = parameter((out_features,), "bias")
        # A plan may put another Cell here, whose result is a sum over several devices.
        self.matmul = Matmul(compute_dtype)
        self.add_bias = AddBias()
        if self.matmul.fused:
            self.with_bias = ProductWithBias()

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """[rows, in_features] -> [rows, out_features]."""
        if self.matmul.fused:
            return self.with_bias(x, self.weight, self.bias)
        return self.add_bias(self.matmul(x, self.weight), self.bias)


class LayerNorm(nn.Cell):
    """Layer normalisation of x [rows, features] with a learned scale and shift."""

    def __init__(self, features: int, epsilon: float) -> None:
        super().__init__()
        self.weight = parameter((features,), "weight")
        self.bias = parameter((features,), "bias")
        self.normalize = Normalize(epsilon)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Return the normalised x."""
        return self.normalize(x, self.weight, self.bias)[0]


class Activation(nn.Cell):
    """The activation called `name`: gelu (exact), gelu_tanh or relu."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.function: nn.Cell = _ACTIVATIONS[name]()

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Apply the activation to every element."""
        return self.function(x)[0]


class Dropout(nn.Cell):
    """Dropout whose mask is an input: keep bool, as many as x has values, by `models.dropout`.

    With probability 0, or outside training, x is returned unchanged and `keep` is not looked at.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability
        self.drop = DropMasked(1.0 / (1.0 - probability))

    def construct(self, x: ms.Tensor, keep: ms.Tensor) -> ms.Tensor:
        """Return x * keep / (1 - probability)."""
        if self.training and self.probability > 0.0:
            return self.drop(x, keep)
        return x


class WordTable(nn.Cell):
    """The word embedding alone, for the decoder of a stage that has no embeddings."""

    def __init__(self, vocab_size: int, hidden_size: int) -> None:
        super().__init__()
        self.word = parameter((vocab_size, hidden_size), "word")

    def construct(self) -> ms.Tensor:
        """The table [vocab, hidden]."""
        return self.word


class SelfAttention(nn.Cell):
    """Multi-head scaled dot-product attention (Vaswani et al. 2017, section 3.2).

    x [batch * sequence, hidden], bias [batch or 1, 1, sequence or 1, sequence] added to the scores.
    The number of heads follows from the width of the query weight, so a layer that holds only some
    of the heads works unchanged.
    """

    def __init__(
        self, hidden_size: int, head_size: int, dropout: float, compute_dtype: str
    ) -> None:
        super().__init__()
        self.head_size = head_size
        self.scale = head_size**-0.5
        self.query = Dense(hidden_size, hidden_size, compute_dtype)
        self.key = Dense(hidden_size, hidden_size, compute_dtype)
        self.value = Dense(hidden_size, hidden_size, compute_dtype)
        self.output = Dense(hidden_size, hidden_size, compute_dtype)
        self.scores = Matmul(compute_dtype, transpose_b=True, batched=True)
        self.context = Matmul(compute_dtype, transpose_b=False, batched=True)
        self.softmax = Softmax()
        self.dropout = Dropout(dropout)
        self.split = SplitHeads(head_size)
        self.join = JoinHeads()
        self.repeat = ops.Tile()
        self.fused = kernels_in_use() and compute_dtype == "float32"
        if self.fused:
            self.attend = Attend(head_size, dropout)

    def split_heads(self, x: ms.Tensor, batch: int) -> ms.Tensor:
        """[batch * sequence, heads * size] -> [batch, heads, sequence, size]."""
        return self.split(ops.reshape(x, (batch, -1, x.shape[1])))

    def join_heads(self, x: ms.Tensor) -> ms.Tensor:
        """[batch, heads, sequence, size] -> [batch * sequence, heads * size]."""
        joined = self.join(x)
        return ops.reshape(joined, (-1, joined.shape[2]))

    def construct(self, x: ms.Tensor, bias: ms.Tensor, keep: ms.Tensor) -> ms.Tensor:
        """Return the attention output, [batch * sequence, hidden]."""
        if self.fused:
            mixed = self.attend(self.query(x), self.key(x), self.value(x), bias, keep)
            return self.output(mixed)
        batch = x.shape[0] // bias.shape[3]
        query = self.split_heads(self.query(x) * self.scale, batch)
        key = self.split_heads(self.key(x), batch)
        value = self.split_heads(self.value(x), batch)
        scores = self.scores(query, key)
        # Repeated for the reason in `functional.repeat_column`.
        rows, heads, queries = batch // bias.shape[0], scores.shape[1], scores.shape[2]
        repeats = (rows, heads, queries // bias.shape[2], 1)
        bias = self.repeat(ops.stop_gradient(bias), repeats)
        probabilities = self.dropout(self.softmax(scores + bias), keep)
        return self.output(self.join_heads(self.context(probabilities, value)))


def padding_bias(input_mask: ms.Tensor) -> ms.Tensor:
    """input_mask int32 [batch, sequence] (1 = token) -> score bias [batch, 1, 1, sequence]."""
    batch, sequence = input_mask.shape
    visible = ops.cast(ops.reshape(input_mask, (batch, 1, 1, sequence)), ms.float32)
    return (1.0 - visible) * _MASKED_SCORE


def document_bias(document_ids: ms.Tensor) -> ms.Tensor:
    """Score bias that keeps attention inside of documents.

    document_ids int32 [batch, sequence] (from 1; 0 = padding) -> [batch, 1, sequence, sequence].
    """
    batch, sequence = document_ids.shape
    queries = ops.reshape(document_ids, (batch, 1, sequence, 1))
    keys = ops.reshape(document_ids, (batch, 1, 1, sequence))
    return (1.0 - ops.cast(ops.equal(queries, keys), ms.float32)) * _MASKED_SCORE


def causal_bias(sequence: int) -> ms.Tensor:
    """Score bias that hides what comes later, [1, 1, sequence, sequence]: for rows of any batch."""
    hidden = 1.0 - ops.tril(ops.ones((sequence, sequence), ms.float32))
    return ops.reshape(hidden * _MASKED_SCORE, (1, 1, sequence, sequence))


def causal_document_bias(document_ids: ms.Tensor) -> ms.Tensor:
    """Score bias that hides what comes later and what belongs to other documents.

    document_ids int32 [batch, sequence] -> [batch, 1, sequence, sequence].
    """
    batch, sequence = document_ids.shape
    later = ops.tile(causal_bias(sequence), (batch, 1, 1, 1))
    return ops.minimum(document_bias(document_ids), later)
