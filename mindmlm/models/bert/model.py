"""BERT encoder with post- or pre-layer-normalisation (Devlin et al. 2018; Xiong et al. 2020)."""

import mindspore as ms
from mindspore import nn, ops

from mindmlm.config.schema.bert import BertModelConfig
from mindmlm.models.functional import HoldRows, Lookup
from mindmlm.models.layers import (
    Activation,
    Dense,
    Dropout,
    LayerNorm,
    SelfAttention,
    WordTable,
    document_bias,
    padding_bias,
    parameter,
)
from mindmlm.models.spans import Span

DROPOUT_SITES_PER_LAYER = 3


class BertEmbeddings(nn.Cell):
    """Token + position + segment embedding, normalised, with dropout.

    Args:
        config: the model section of the configuration.
        vocab_size: rows of the word embedding.
        size: columns; by default the width of the network.
    """

    def __init__(self, config: BertModelConfig, vocab_size: int, size: int | None = None) -> None:
        super().__init__()
        hidden = size or config.hidden_size
        self.word = parameter((vocab_size, hidden), "word")
        self.first_position = config.first_position
        self.position = parameter((config.max_position_embeddings, hidden), "position")
        self.token_type = parameter((config.type_vocab_size, hidden), "token_type")
        self.norm = LayerNorm(hidden, config.layer_norm_eps)
        self.dropout = Dropout(config.hidden_dropout_prob)
        self.lookup_word = Lookup()
        self.lookup = Lookup()
        self.hold = HoldRows()

    def construct(
        self,
        input_ids: ms.Tensor,
        segment_ids: ms.Tensor,
        keep: ms.Tensor,
        position_ids: ms.Tensor | None = None,
        trained: ms.Tensor | None = None,
    ) -> ms.Tensor:
        """Ids int32 [batch, sequence] -> [batch * sequence, hidden]; default positions 0, 1, ...

        Where `trained` (int32 [batch, sequence]) is 0, the word embedding gets no gradient.
        """
        batch, sequence = input_ids.shape
        words = self.lookup_word(self.word, ops.reshape(input_ids, (-1,)))
        if trained is not None:
            words = self.hold(words, ops.cast(ops.reshape(trained, (-1,)), words.dtype))
        types = self.lookup(self.token_type, ops.reshape(segment_ids, (-1,)))
        if position_ids is None:
            first = self.first_position
            positions = ops.tile(self.position[first : first + sequence], (batch, 1))
        else:
            rows = ops.reshape(position_ids, (-1,)) + self.first_position
            positions = self.lookup(self.position, rows)
        return self.dropout(self.norm(words + types + positions), keep)


class BertLayer(nn.Cell):
    """Attention and feed-forward, each with a residual and a normalisation."""

    def __init__(self, config: BertModelConfig) -> None:
        super().__init__()
        hidden, dtype = config.hidden_size, config.compute_dtype
        self.post_norm = config.post_layernorm_residual
        head_size = hidden // config.num_attention_heads
        attention_dropout = config.attention_probs_dropout_prob
        self.attention = SelfAttention(hidden, head_size, attention_dropout, dtype)
        self.attention_norm = LayerNorm(hidden, config.layer_norm_eps)
        self.intermediate = Dense(hidden, config.intermediate_size, dtype)
        self.activation = Activation(config.hidden_act)
        self.output = Dense(config.intermediate_size, hidden, dtype)
        self.output_norm = LayerNorm(hidden, config.layer_norm_eps)
        self.dropout = Dropout(config.hidden_dropout_prob)

    def feed_forward(self, x: ms.Tensor) -> ms.Tensor:
        """[rows, hidden] -> [rows, hidden]."""
        return self.output(self.activation(self.intermediate(x)))

    def construct(
        self,
        x: ms.Tensor,
        bias: ms.Tensor,
        keep_probabilities: ms.Tensor,
        keep_attention: ms.Tensor,
        keep_output: ms.Tensor,
    ) -> ms.Tensor:
        """x [batch * sequence, hidden]; the keep masks belong to the three dropout sites."""
        if self.post_norm:
            attended = self.attention(x, bias, keep_probabilities)
            x = self.attention_norm(x + self.dropout(attended, keep_attention))
            return self.output_norm(x + self.dropout(self.feed_forward(x), keep_output))
        attended = self.attention(self.attention_norm(x), bias, keep_probabilities)
        x = x + self.dropout(attended, keep_attention)
        return x + self.dropout(self.feed_forward(self.output_norm(x)), keep_output)


class LayerStack(nn.Cell):
    """Layers one behind the other."""

    layers: nn.CellList

    def through_layers(self, x: ms.Tensor, bias: ms.Tensor, keeps: tuple, site: int) -> ms.Tensor:
        """x [batch * sequence, hidden] behind all layers; the first has the masks from `site`."""
        for layer in self.layers:
            x = layer(x, bias, keeps[site], keeps[site + 1], keeps[site + 2])
            site = site + DROPOUT_SITES_PER_LAYER
        return x


class _Encoder(LayerStack):
    """Layers of BERT with what stands before and behind them; see `BertModel`."""

    span: Span
    pre_norm: bool
    scores_padding: bool
    no_keeps: tuple
    embeddings: nn.Cell
    final_norm: nn.Cell

    def construct(
        self,
        x: ms.Tensor | None,
        input_ids: ms.Tensor,
        input_mask: ms.Tensor,
        segment_ids: ms.Tensor,
        keeps: tuple,
        document_ids: ms.Tensor | None = None,
        position_ids: ms.Tensor | None = None,
    ) -> ms.Tensor:
        """All inputs int32 [batch, sequence] -> [batch * sequence, hidden].

        `x` is the output of the layer before the span; a span that begins with the embeddings does
        not look at it. `keeps` holds the dropout masks in the order of `dropout_sites`. Outside
        training it may be empty.

        Rows of several documents give `document_ids` (from 1; 0 = padding), so that none attends
        to another one, and `position_ids`, which begin at 0 in each.
        """
        if not self.training:
            keeps = self.no_keeps
        bias = padding_bias(input_mask) if document_ids is None else document_bias(document_ids)
        site = 0
        if self.span.first:
            trained = input_mask if self.scores_padding else None
            x = self.embeddings(input_ids, segment_ids, keeps[0], position_ids, trained)
            site = 1
        x = self.through_layers(x, bias, keeps, site)
        if self.pre_norm and self.span.last:
            x = self.final_norm(x)
        return x


class BertModel(_Encoder):
    """The encoder: token ids in, one vector a position out.

    Args:
        config: the model section of the configuration.
        vocab_size: rows of the word embedding.
        span: the layers to build, the whole model by default. The word embedding is there with
            the first layer.
        decodes_words: the word embedding is there with the last layer too, for a decoder.
        scores_padding: the head scores positions of padding too. The word embedding of [PAD] then
            stays as it is, as in transformers (`padding_idx`).
    """

    def __init__(
        self,
        config: BertModelConfig,
        vocab_size: int,
        span: Span | None = None,
        decodes_words: bool = True,
        scores_padding: bool = False,
    ) -> None:
        super().__init__()
        self.span = span or Span.whole(config.num_hidden_layers)
        self.pre_norm = not config.post_layernorm_residual
        self.scores_padding = scores_padding
        self.no_keeps = no_keeps(self.span)
        if self.span.first:
            self.embeddings: nn.Cell = BertEmbeddings(config, vocab_size)
        elif self.span.last and decodes_words:
            self.embeddings = WordTable(vocab_size, config.hidden_size)
        self.layers = nn.CellList(
            [BertLayer(config) for _ in range(self.span.start, self.span.stop)]
        )
        if self.pre_norm and self.span.last:
            self.final_norm = LayerNorm(config.hidden_size, config.layer_norm_eps)
        if config.add_pooling_layer and self.span.last:
            self.pooler = Dense(config.hidden_size, config.hidden_size, config.compute_dtype)

    def pool(self, x: ms.Tensor, batch: int) -> ms.Tensor:
        """[batch * sequence, hidden] -> tanh(dense(first position)) [batch, hidden]."""
        first = ops.reshape(x, (batch, -1, x.shape[1]))[:, 0]
        return ops.tanh(self.pooler(first))


class BertPart(_Encoder):
    """Some of the layers of a `BertModel`, which owns them."""

    def __init__(self, model: BertModel, span: Span) -> None:
        super().__init__(auto_prefix=False)
        self.span = span
        self.pre_norm = model.pre_norm
        self.scores_padding = model.scores_padding
        self.no_keeps = no_keeps(span)
        if span.first:
            self.embeddings = model.embeddings
        begin = model.span.start
        layers = [model.layers[number - begin] for number in range(span.start, span.stop)]
        self.layers = nn.CellList(layers, auto_prefix=False)
        if self.pre_norm and span.last:
            self.final_norm = model.final_norm


def no_keeps(span: Span) -> tuple:
    """What stands for the dropout masks where none are used."""
    return (None,) * (int(span.first) + DROPOUT_SITES_PER_LAYER * (span.stop - span.start))
