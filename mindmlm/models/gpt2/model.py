"""GPT-2: a decoder with layer norms before its sub-layers (Radford et al. 2019)."""

import mindspore as ms
from mindspore import nn, ops

from mindmlm.config.schema.gpt2 import GPT2ModelConfig
from mindmlm.models.functional import Lookup
from mindmlm.models.layers import (
    Activation,
    Dense,
    Dropout,
    LayerNorm,
    SelfAttention,
    WordTable,
    causal_bias,
    causal_document_bias,
    parameter,
)
from mindmlm.models.spans import Span

DROPOUT_SITES_PER_LAYER = 3


class GPT2Embeddings(nn.Cell):
    """Token + position embedding, with dropout."""

    def __init__(self, config: GPT2ModelConfig, vocab_size: int) -> None:
        super().__init__()
        self.word = parameter((vocab_size, config.hidden_size), "word")
        self.position = parameter((config.max_position_embeddings, config.hidden_size), "position")
        self.dropout = Dropout(config.embedding_dropout_prob)
        self.lookup_word = Lookup()
        self.lookup = Lookup()

    def construct(
        self, input_ids: ms.Tensor, keep: ms.Tensor, position_ids: ms.Tensor | None = None
    ) -> ms.Tensor:
        """Ids int32 [batch, sequence] -> [batch * sequence, hidden]; default positions 0, 1, ..."""
        batch, sequence = input_ids.shape
        words = self.lookup_word(self.word, ops.reshape(input_ids, (-1,)))
        if position_ids is None:
            positions = ops.tile(self.position[:sequence], (batch, 1))
        else:
            positions = self.lookup(self.position, ops.reshape(position_ids, (-1,)))
        return self.dropout(words + positions, keep)


class GPT2Layer(nn.Cell):
    """Attention and feed-forward, each behind a normalisation and added to its input."""

    def __init__(self, config: GPT2ModelConfig) -> None:
        super().__init__()
        hidden, inner, dtype = config.hidden_size, config.inner_size, config.compute_dtype
        head_size = hidden // config.num_attention_heads
        attention_dropout = config.attention_probs_dropout_prob
        self.attention_norm = LayerNorm(hidden, config.layer_norm_eps)
        self.attention = SelfAttention(hidden, head_size, attention_dropout, dtype)
        self.feed_forward_norm = LayerNorm(hidden, config.layer_norm_eps)
        self.intermediate = Dense(hidden, inner, dtype)
        self.activation = Activation(config.hidden_act)
        self.output = Dense(inner, hidden, dtype)
        self.dropout = Dropout(config.hidden_dropout_prob)

    def feed_forward(self, x: ms.Tensor) -> ms.Tensor:
        """[rows, hidden] -> [rows, hidden]."""
        return self.output(self.activation(self.intermediate(self.feed_forward_norm(x))))

    def construct(
        self,
        x: ms.Tensor,
        bias: ms.Tensor,
        keep_probabilities: ms.Tensor,
        keep_attention: ms.Tensor,
        keep_output: ms.Tensor,
    ) -> ms.Tensor:
        """x [batch * sequence, hidden]; the keep masks belong to the three dropout sites."""
        attended = self.attention(self.attention_norm(x), bias, keep_probabilities)
        x = x + self.dropout(attended, keep_attention)
        return x + self.dropout(self.feed_forward(x), keep_output)


class _Decoder(nn.Cell):
    """Layers of GPT-2 with what stands before and behind them; see `GPT2Model`."""

    span: Span
    no_keeps: tuple
    embeddings: nn.Cell
    layers: nn.CellList
    final_norm: nn.Cell

    def construct(
        self,
        x: ms.Tensor | None,
        input_ids: ms.Tensor,
        keeps: tuple,
        document_ids: ms.Tensor | None = None,
        position_ids: ms.Tensor | None = None,
    ) -> ms.Tensor:
        """input_ids int32 [batch, sequence] -> [batch * sequence, hidden].

        `x` is the output of the layer before the span; a span that begins with the embeddings does
        not look at it. `keeps` holds the dropout masks in the order of `dropout_sites`. Outside
        training it may be empty.

        Rows whose documents are kept apart give `document_ids` (int32 [batch, sequence]), so that
        none attends to another one, and `position_ids`, which begin at 0 in each.
        """
        if not self.training:
            keeps = self.no_keeps
        if document_ids is None:
            bias = causal_bias(input_ids.shape[1])
        else:
            bias = causal_document_bias(document_ids)
        site = 0
        if self.span.first:
            x = self.embeddings(input_ids, keeps[0], position_ids)
            site = 1
        for layer in self.layers:
            x = layer(x, bias, keeps[site], keeps[site + 1], keeps[site + 2])
            site = site + DROPOUT_SITES_PER_LAYER
        if self.span.last:
            x = self.final_norm(x)
        return x


class GPT2Model(_Decoder):
    """The decoder without its head: token ids in, one vector a position out.

    Args:
        config: the model section of the configuration.
        vocab_size: rows of the word embedding.
        span: the layers to build, the whole model by default. The word embedding, which the head
            uses too, is there with the first and with the last layer.
    """

    def __init__(self, config: GPT2ModelConfig, vocab_size: int, span: Span | None = None) -> None:
        super().__init__()
        self.span = span or Span.whole(config.num_hidden_layers)
        self.no_keeps = no_keeps(self.span)
        if self.span.first:
            self.embeddings: nn.Cell = GPT2Embeddings(config, vocab_size)
        elif self.span.last:
            self.embeddings = WordTable(vocab_size, config.hidden_size)
        self.layers = nn.CellList(
            [GPT2Layer(config) for _ in range(self.span.start, self.span.stop)]
        )
        if self.span.last:
            self.final_norm = LayerNorm(config.hidden_size, config.layer_norm_eps)


class GPT2Part(_Decoder):
    """Some of the layers of a `GPT2Model`, which owns them."""

    def __init__(self, model: GPT2Model, span: Span) -> None:
        super().__init__(auto_prefix=False)
        self.span = span
        self.no_keeps = no_keeps(span)
        if span.first:
            self.embeddings = model.embeddings
        begin = model.span.start
        layers = [model.layers[number - begin] for number in range(span.start, span.stop)]
        self.layers = nn.CellList(layers, auto_prefix=False)
        if span.last:
            self.final_norm = model.final_norm


def no_keeps(span: Span) -> tuple:
    """What stands for the dropout masks where none are used."""
    return (None,) * (int(span.first) + DROPOUT_SITES_PER_LAYER * (span.stop - span.start))
