"""What is put on top of the BERT encoder for a task."""

import mindspore as ms
from mindspore import Parameter, nn, ops

from mindmlm.config.schema.bert import BertModelConfig
from mindmlm.models.bert.model import BertModel, BertPart
from mindmlm.models.functional import AddBias
from mindmlm.models.layers import (
    Activation,
    Dense,
    LayerNorm,
    Matmul,
    number_layers,
    parameter,
)
from mindmlm.models.spans import Span


class MaskedLMHead(nn.Cell):
    """Dense, activation, normalisation and the tied decoder.

    As `get_masked_lm_output` of google-research/bert `run_pretraining.py`.

    Args:
        config: the model section of the configuration.
        vocab_size: rows of the word embedding.
        embedding_size: columns of the word embedding; by default the width of the network.
    """

    def __init__(
        self, config: BertModelConfig, vocab_size: int, embedding_size: int | None = None
    ) -> None:
        super().__init__()
        size = embedding_size or config.hidden_size
        self.dense = Dense(config.hidden_size, size, config.compute_dtype)
        self.activation = Activation(config.head_act)
        self.norm = LayerNorm(size, config.layer_norm_eps)
        self.bias = parameter((vocab_size,), "bias")
        self.decode = Matmul(config.compute_dtype)
        self.add_bias = AddBias()

    def construct(self, x: ms.Tensor, word_embedding: ms.Tensor) -> ms.Tensor:
        """x [rows, hidden], word_embedding [vocab, embedding] -> logits [rows, vocab]."""
        x = self.norm(self.activation(self.dense(x)))
        return self.add_bias(self.decode(x, word_embedding), self.bias)


def rows_of_positions(positions: ms.Tensor, sequence: int) -> ms.Tensor:
    """Columns `positions` int32 [batch, n] of rows -> their places in [batch * sequence], [n]."""
    batch = positions.shape[0]
    row_start = ops.reshape(ops.arange(0, batch * sequence, sequence), (batch, 1))
    return ops.reshape(positions + ops.cast(row_start, ms.int32), (-1,))


class BertForMaskedLM(nn.Cell):
    """Encoder with a masked-language-model head that runs on the chosen positions only.

    The pooler, where the configuration asks for one, is carried along but not trained: it has no
    part in this loss.

    Args:
        config: the model section of the configuration.
        vocab_size: rows of the word embedding.
        span: the layers to build, see `BertModel`; the head is there with the last one.
    """

    def __init__(self, config: BertModelConfig, vocab_size: int, span: Span | None = None) -> None:
        super().__init__()
        self.config = config
        self.bert = BertModel(config, vocab_size, span)
        self.span = self.bert.span
        if self.span.last:
            self.head = MaskedLMHead(config, vocab_size)
        self.gather = ops.Gather()
        if config.add_pooling_layer and self.span.last:
            for value in self.bert.pooler.get_parameters():
                value.requires_grad = False
        number_layers(self.bert.layers, "bert.layers", self.span)

    def parameters_of(self, span: Span) -> list[Parameter]:
        """Trained parameters that a part of the model uses; a tied one belongs to two parts."""
        values = BertPart(self.bert, span).trainable_params()
        if span.last:
            values += self.head.trainable_params()
            values.append(self.bert.embeddings.word)
        return list({value.name: value for value in values}.values())

    def predict(self, x: ms.Tensor, positions: ms.Tensor) -> ms.Tensor:
        """Logits at `positions` int32 [batch, predictions] of x [batch * sequence, hidden]."""
        return self.score(self.pick(x, positions))

    def pick(self, x: ms.Tensor, positions: ms.Tensor) -> ms.Tensor:
        """Rows of x [batch * sequence, columns] at `positions`, [batch * predictions, columns]."""
        rows = rows_of_positions(positions, x.shape[0] // positions.shape[0])
        return self.gather(x, rows, 0)

    def score(self, x: ms.Tensor) -> ms.Tensor:
        """Logits [rows, vocab] of x [rows, hidden]."""
        return self.head(x, self.bert.embeddings.word)

    def construct(
        self,
        input_ids: ms.Tensor,
        input_mask: ms.Tensor,
        segment_ids: ms.Tensor,
        positions: ms.Tensor,
        keeps: tuple,
        document_ids: ms.Tensor | None = None,
        position_ids: ms.Tensor | None = None,
    ) -> ms.Tensor:
        """Logits at the chosen positions, for a model that was built whole.

        Args:
            input_ids, input_mask, segment_ids: int32 [batch, sequence].
            positions: int32 [batch, predictions], columns of each row.
            keeps: dropout masks, see `BertModel`.
            document_ids, position_ids: of rows of several documents, see `BertModel`.

        Returns:
            float32 [batch * predictions, vocab].
        """
        x = self.bert(None, input_ids, input_mask, segment_ids, keeps, document_ids, position_ids)
        return self.predict(x, positions)


class RobertaForMaskedLM(BertForMaskedLM):
    """RoBERTa (Liu et al. 2019): BERT's network, as a `RobertaModelConfig` describes it."""
