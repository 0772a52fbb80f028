"""BERT encoder with post- or pre-layer-normalisation (Devlin et al. 2018; Xiong et al. 2020)."""

import mindspore as ms
from mindspore import nn, ops

from mindmlm.config.schema.model import BertModelConfig
from mindmlm.models.layers import (
    Activation,
    Dense,
    Dropout,
    LayerNorm,
    SelfAttention,
    document_bias,
    padding_bias,
    parameter,
)

DROPOUT_SITES_PER_LAYER = 3


class BertEmbeddings(nn.Cell):
    """Token + position + segment embedding, normalised, with dropout."""

    def __init__(self, config: BertModelConfig, vocab_size: int) -> None:
        super().__init__()
        hidden = config.hidden_size
        self.word = parameter((vocab_size, hidden), "word")
        self.position = parameter((config.max_position_embeddings, hidden), "position")
        self.token_type = parameter((config.type_vocab_size, hidden), "token_type")
        self.norm = LayerNorm(hidden, config.layer_norm_eps)
        self.dropout = Dropout(config.hidden_dropout_prob)
        self.gather = ops.Gather()

    def construct(
        self,
        input_ids: ms.Tensor,
        segment_ids: ms.Tensor,
        keep: ms.Tensor,
        position_ids: ms.Tensor | None = None,
    ) -> ms.Tensor:
        """Ids int32 [batch, sequence] -> [batch * sequence, hidden]; default positions 0, 1, ..."""
        batch, sequence = input_ids.shape
        words = self.gather(self.word, ops.reshape(input_ids, (-1,)), 0)
        types = self.gather(self.token_type, ops.reshape(segment_ids, (-1,)), 0)
        if position_ids is None:
            positions = ops.tile(self.position[:sequence], (batch, 1))
        else:
            positions = self.gather(self.position, ops.reshape(position_ids, (-1,)), 0)
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


class BertModel(nn.Cell):
    """The encoder: token ids in, one vector a position out.

    Args:
        config: the model section of the configuration.
        vocab_size: rows of the word embedding.
    """

    def __init__(self, config: BertModelConfig, vocab_size: int) -> None:
        super().__init__()
        self.embeddings = BertEmbeddings(config, vocab_size)
        self.layers = nn.CellList([BertLayer(config) for _ in range(config.num_hidden_layers)])
        self.no_keeps = (None,) * (1 + DROPOUT_SITES_PER_LAYER * config.num_hidden_layers)
        self.pre_norm = not config.post_layernorm_residual
        if self.pre_norm:
            self.final_norm = LayerNorm(config.hidden_size, config.layer_norm_eps)
        if config.add_pooling_layer:
            self.pooler = Dense(config.hidden_size, config.hidden_size, config.compute_dtype)

    def pool(self, x: ms.Tensor, batch: int) -> ms.Tensor:
        """[batch * sequence, hidden] -> tanh(dense(first position)) [batch, hidden]."""
        first = ops.reshape(x, (batch, -1, x.shape[1]))[:, 0]
        return ops.tanh(self.pooler(first))

    def construct(
        self,
        input_ids: ms.Tensor,
        input_mask: ms.Tensor,
        segment_ids: ms.Tensor,
        keeps: tuple,
        document_ids: ms.Tensor | None = None,
        position_ids: ms.Tensor | None = None,
    ) -> ms.Tensor:
        """All inputs int32 [batch, sequence] -> [batch * sequence, hidden].

        `keeps` holds the dropout masks in the order of `dropout_sites`: the embedding's, then three
        a layer (attention probabilities, attention output, feed-forward output). Outside
        training it may be empty.

        Rows of several documents give `document_ids` (from 1; 0 = padding), so that none attends
        to another one, and `position_ids`, which begin at 0 in each.
        """
        if not self.training:
            keeps = self.no_keeps
        bias = padding_bias(input_mask) if document_ids is None else document_bias(document_ids)
        x = self.embeddings(input_ids, segment_ids, keeps[0], position_ids)
        first = 1
        for layer in self.layers:
            x = layer(x, bias, keeps[first], keeps[first + 1], keeps[first + 2])
            first = first + DROPOUT_SITES_PER_LAYER
        if self.pre_norm:
            x = self.final_norm(x)
        return x
