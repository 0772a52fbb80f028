"""GPT-2 one token at a time, with a cache of keys and values of static shape.

The cells here use the model's own layers and have no weights themselves, so a divided model decodes
divided: each rank caches the heads that it has. All cells of one `Caches` work on the same tables.
"""

from typing import Any, cast

import mindspore as ms
import numpy as np
from mindspore import Parameter, nn, ops

from mindmlm.kernels import kernel, kernels_in_use
from mindmlm.models.functional import Gelu, GeluTanh, Relu
from mindmlm.models.gpt2.heads import GPT2LMHeadModel
from mindmlm.models.gpt2.model import GPT2Layer
from mindmlm.models.graph import Graph
from mindmlm.models.layers import Dense, LayerNorm, SelfAttention, causal_document_bias

# The fused layers with each activation.
_OPERATORS = {
    Gelu: "DecoderLayersGelu",
    GeluTanh: "DecoderLayersGeluTanh",
    Relu: "DecoderLayersRelu",
}


class Cache(nn.Cell):
    """Keys and values of one layer: two tables [sequences * heads * capacity, head size].

    A row for each position of each head of each sequence, so that a new position is written in
    place, a row a head.
    """

    def __init__(self, number: int, sequences: int, heads: int, size: int, capacity: int) -> None:
        super().__init__()
        self.sequences, self.heads, self.capacity, self.size = sequences, heads, capacity, size
        shape = (sequences * heads * capacity, size)
        # Other names than any parameter of the model has: a graph must not hold two alike.
        self.keys = Parameter(ms.Tensor(np.zeros(shape, np.float32)), f"cache.{number}.keys")
        self.values = Parameter(ms.Tensor(np.zeros(shape, np.float32)), f"cache.{number}.values")
        self.update = ops.ScatterUpdate()
        self.gather = ops.Gather()
        self.concat = ops.Concat(2)

    def fill(self, key: ms.Tensor, value: ms.Tensor, sequences: ms.Tensor) -> tuple:
        """Begin with the keys and values [prompts, heads, length, size] of prompts."""
        ops.assign(self.keys, self.table(key, sequences))
        ops.assign(self.values, self.table(value, sequences))
        return self.keys, self.values

    def table(self, x: ms.Tensor, sequences: ms.Tensor) -> ms.Tensor:
        """Rows of the prompts of all sequences, with zeros for what is to come."""
        x = self.gather(x, sequences, 0)
        rest = self.capacity - x.shape[2]
        if rest > 0:
            x = self.concat((x, ops.zeros((self.sequences, self.heads, rest, self.size), x.dtype)))
        return ops.reshape(x, (-1, self.size))

    def append(self, key: ms.Tensor, value: ms.Tensor, rows: ms.Tensor) -> tuple:
        """Write one position; return both tables as [sequences, heads, capacity, size].

        Args:
            key, value: [sequences, heads * size].
            rows: int32 [sequences * heads], where in the tables.
        """
        shape = (self.sequences, self.heads, self.capacity, self.size)
        keys = self.update(self.keys, rows, ops.reshape(key, (-1, self.size)))
        values = self.update(self.values, rows, ops.reshape(value, (-1, self.size)))
        return ops.reshape(keys, shape), ops.reshape(values, shape)

    def reorder(self, sequences: ms.Tensor) -> tuple:
        """Let sequence i have what sequence sequences[i] has had."""
        keys = ops.reshape(self.keys, (self.sequences, -1))
        values = ops.reshape(self.values, (self.sequences, -1))
        keys = ops.reshape(self.gather(keys, sequences, 0), self.keys.shape)
        values = ops.reshape(self.gather(values, sequences, 0), self.values.shape)
        ops.assign(self.keys, keys)
        ops.assign(self.values, values)
        return self.keys, self.values


class _NormOfFewRows(nn.Cell):
    """A normalisation of the model by one operator: for a few rows, launching many costs more."""

    def __init__(self, norm: LayerNorm) -> None:
        super().__init__(auto_prefix=False)
        self.norm = norm
        self.layer_norm = ops.LayerNorm(1, 1, norm.normalize.epsilon)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        return self.layer_norm(x, self.norm.weight, self.norm.bias)[0]


class _CachedLayer(nn.Cell):
    """A layer of the model with its cache; inputs and results as those of `GPT2Layer`."""

    def __init__(self, layer: GPT2Layer, cache: Cache) -> None:
        super().__init__(auto_prefix=False)
        self.attention = whole_attention(layer)
        self.layer = layer
        self.cache = cache


class _PrefillLayer(_CachedLayer):
    def construct(self, x: ms.Tensor, bias: ms.Tensor, sequences: ms.Tensor) -> ms.Tensor:
        attention, batch = self.attention, bias.shape[0]
        normalised = self.layer.attention_norm(x)
        query = attention.split_heads(attention.query(normalised) * attention.scale, batch)
        key = attention.split_heads(attention.key(normalised), batch)
        value = attention.split_heads(attention.value(normalised), batch)
        self.cache.fill(key, value, sequences)
        scores = attention.scores(query, key)
        bias = attention.repeat(bias, (1, scores.shape[1], 1, 1))
        context = attention.context(attention.softmax(scores + bias), value)
        x = x + attention.output(attention.join_heads(context))
        return x + self.layer.feed_forward(x)


class _StepLayer(_CachedLayer):
    def __init__(self, layer: GPT2Layer, cache: Cache) -> None:
        super().__init__(layer, cache)
        self.attention_norm = _NormOfFewRows(layer.attention_norm)
        self.feed_forward_norm = _NormOfFewRows(layer.feed_forward_norm)

    def construct(self, x: ms.Tensor, bias: ms.Tensor, rows: ms.Tensor) -> ms.Tensor:
        attention, cache = self.attention, self.cache
        normalised = self.attention_norm(x)
        # One position: its heads stand one after the other as they are.
        query = attention.query(normalised) * attention.scale
        query = ops.reshape(query, (cache.sequences, cache.heads, 1, cache.size))
        key, value = attention.key(normalised), attention.value(normalised)
        keys, values = cache.append(key, value, rows)
        probabilities = attention.softmax(attention.scores(query, keys) + bias)
        context = attention.context(probabilities, values)
        x = x + attention.output(ops.reshape(context, (cache.sequences, -1)))
        layer = self.layer
        inner = layer.activation(layer.intermediate(self.feed_forward_norm(x)))
        return x + layer.output(inner)


class _StepLayers(nn.Cell):
    """Layers, one after the other."""

    def __init__(self, layers: list[GPT2Layer], caches: list[Cache]) -> None:
        super().__init__(auto_prefix=False)
        cells = [_StepLayer(layer, cache) for layer, cache in zip(layers, caches, strict=True)]
        self.layers = nn.CellList(cells, auto_prefix=False)
        self.heads = caches[0].heads
        self.repeat = ops.Tile()

    def construct(self, x: ms.Tensor, bias: ms.Tensor, rows: ms.Tensor) -> ms.Tensor:
        bias = self.repeat(bias, (1, self.heads, 1, 1))
        for layer in self.layers:
            x = layer(x, bias, rows)
        return x


class _FusedStepLayers(nn.Cell):
    """`_StepLayers` by one operator, for layers that are not divided: no time between operators."""

    def __init__(self, layers: list[GPT2Layer], caches: list[Cache]) -> None:
        super().__init__(auto_prefix=False)
        self.decode = kernel(_OPERATORS[type(layers[0].activation.function)])
        settings = [layers[0].attention.scale, layers[0].attention_norm.normalize.epsilon]
        self.settings = ms.Tensor(settings, ms.float32)
        weights, tables = [], []
        for layer, cache in zip(layers, caches, strict=True):
            weights += _weights(layer)
            tables += [cache.keys, cache.values]
        self.weights, self.tables = ms.ParameterTuple(weights), ms.ParameterTuple(tables)

    @staticmethod
    def fits(layer: GPT2Layer) -> bool:
        """Whether the layer is whole and computes in float32."""
        attention = layer.attention
        if not (kernels_in_use() and isinstance(attention, SelfAttention) and attention.fused):
            return False
        parts = (attention.query, attention.output, layer.intermediate, layer.output)
        whole = all(isinstance(part, Dense) for part in parts)
        return whole and type(layer.activation.function) in _OPERATORS

    def construct(self, x: ms.Tensor, bias: ms.Tensor, rows: ms.Tensor) -> ms.Tensor:
        return self.decode(x, bias, rows, self.settings, *self.weights, *self.tables)


def _weights(layer: GPT2Layer) -> list[Parameter]:
    """Weights and biases in the order of the operator."""
    attention = layer.attention
    attended = (layer.attention_norm, attention.query, attention.key, attention.value)
    fed_forward = (layer.feed_forward_norm, layer.intermediate, layer.output)
    parts = (*attended, attention.output, *fed_forward)
    return [weight for part in parts for weight in (part.weight, part.bias)]


class _Decode(Graph):
    """What both passes share: embeddings before the layers, the head behind them."""

    def __init__(self, model: GPT2LMHeadModel) -> None:
        super().__init__(auto_prefix=False)
        self.span = model.span
        if self.span.first or self.span.last:
            self.embeddings = model.gpt2.embeddings
        if self.span.last:
            self.final_norm = model.gpt2.final_norm
            self.decode = whole_decode(model)

    def enter(self, x: ms.Tensor, ids: ms.Tensor, positions: ms.Tensor) -> ms.Tensor:
        """[batch, sequence] ids and positions -> [batch * sequence, hidden]; or x, further on."""
        return self.embeddings(ids, None, positions) if self.span.first else x

    def leave(self, x: ms.Tensor) -> ms.Tensor:
        """[rows, hidden] -> logits [rows, vocab], if the head is here."""
        if self.span.last:
            return self.decode(self.final_norm(x), self.embeddings.word)
        return x


class Prefill(_Decode):
    """The prompts of a batch at once; their keys and values go into the cache."""

    def __init__(self, model: GPT2LMHeadModel, caches: list[Cache]) -> None:
        super().__init__(model)
        layers = zip(model.gpt2.layers, caches, strict=True)
        cells = [_PrefillLayer(layer, cache) for layer, cache in layers]
        self.layers = nn.CellList(cells, auto_prefix=False)

    def construct(
        self,
        x: ms.Tensor,
        ids: ms.Tensor,
        mask: ms.Tensor,
        positions: ms.Tensor,
        sequences: ms.Tensor,
    ) -> ms.Tensor:
        """Logits after the last position, [prompts, vocab]; x' where the head is elsewhere.

        Args:
            x: [prompts * length, hidden], the output of the layer before the first one here.
            ids, mask, positions: int32 [prompts, length]; padding, on the left, has mask 0.
            sequences: int32 [sequences], which prompt each sequence goes on from.
        """
        x = self.enter(x, ids, positions)
        # Padding is a document of its own: nothing else attends to it.
        bias = causal_document_bias(mask)
        for layer in self.layers:
            x = layer(x, bias, sequences)
        if self.span.last:
            prompts, length = ids.shape
            x = ops.reshape(x, (prompts, length, -1))[:, length - 1]
        return self.leave(x)


class Step(_Decode):
    """One more token of each sequence."""

    def __init__(self, model: GPT2LMHeadModel, caches: list[Cache]) -> None:
        super().__init__(model)
        layers = list(model.gpt2.layers)
        self.fused = all(_FusedStepLayers.fits(layer) for layer in layers)
        self.layers = (_FusedStepLayers if self.fused else _StepLayers)(layers, caches)
        if self.fused:
            self.product = kernel("Product")

    def construct(
        self,
        x: ms.Tensor,
        ids: ms.Tensor,
        positions: ms.Tensor,
        bias: ms.Tensor,
        rows: ms.Tensor,
    ) -> ms.Tensor:
        """Logits after the token, [sequences, vocab]; x' where the head is elsewhere.

        Args:
            x: [sequences, hidden], the output of the layer before the first one here.
            ids, positions: int32 [sequences, 1], the token and its place in the text.
            bias: [sequences, 1, 1, capacity], 0 where a position can be seen.
            rows: see `Cache.append`.
        """
        x = self.layers(self.enter(x, ids, positions), bias, rows)
        if self.fused and self.span.last:
            return self.product(self.final_norm(x), self.embeddings.word)
        return self.leave(x)


class Reorder(nn.Cell):
    """Gives each sequence the past of another one."""

    def __init__(self, caches: list[Cache]) -> None:
        super().__init__(auto_prefix=False)
        self.caches = nn.CellList(caches, auto_prefix=False)

    def construct(self, sequences: ms.Tensor) -> ms.Tensor:
        """sequences int32 [sequences]: whose past each one takes."""
        for cache in self.caches:
            cache.reorder(sequences)
        return sequences


def whole_attention(layer: GPT2Layer) -> SelfAttention:
    """The attention of a layer, without what a plan has put around it.

    What stands there changes nothing in a forward pass: it sums the gradient of the input.
    """
    attention: Any = getattr(layer.attention, "cell", layer.attention)
    return cast("SelfAttention", attention)


def whole_decode(model: GPT2LMHeadModel) -> nn.Cell:
    """The head's matrix product; see `whole_attention`."""
    return getattr(model.decode, "cell", model.decode)


def make_caches(model: GPT2LMHeadModel, sequences: int, capacity: int) -> list[Cache]:
    """Empty caches for the layers that are here."""
    caches = []
    for number, layer in enumerate(model.gpt2.layers, start=model.span.start):
        attention = whole_attention(layer)
        heads = attention.query.weight.shape[0] // attention.head_size
        caches.append(Cache(number, sequences, heads, attention.head_size, capacity))
    return caches
