"""What is put on top of the BERT encoder for a task."""

import mindspore as ms
from mindspore import nn, ops

from mindmlm.config.schema.model import BertModelConfig
from mindmlm.models.bert.model import BertModel
from mindmlm.models.functional import AddBias
from mindmlm.models.layers import Activation, Dense, LayerNorm, Matmul, parameter


class MaskedLMHead(nn.Cell):
    """Dense, activation, normalisation and the tied decoder.

    As `get_masked_lm_output` of google-research/bert `run_pretraining.py`.
    """

    def __init__(self, config: BertModelConfig, vocab_size: int) -> None:
        super().__init__()
        self.dense = Dense(config.hidden_size, config.hidden_size, config.compute_dtype)
        self.activation = Activation(config.hidden_act)
        self.norm = LayerNorm(config.hidden_size, config.layer_norm_eps)
        self.bias = parameter((vocab_size,), "bias")
        self.decode = Matmul(config.compute_dtype)
        self.add_bias = AddBias()

    def construct(self, x: ms.Tensor, word_embedding: ms.Tensor) -> ms.Tensor:
        """x [rows, hidden], word_embedding [vocab, hidden] -> logits [rows, vocab]."""
        x = self.norm(self.activation(self.dense(x)))
        return self.add_bias(self.decode(x, word_embedding), self.bias)


class BertForMaskedLM(nn.Cell):
    """Encoder with a masked-language-model head that runs on the chosen positions only.

    The pooler, where the configuration asks for one, is carried along but not trained: it has no
    part in this loss.
    """

    def __init__(self, config: BertModelConfig, vocab_size: int) -> None:
        super().__init__()
        self.bert = BertModel(config, vocab_size)
        self.head = MaskedLMHead(config, vocab_size)
        self.gather = ops.Gather()
        if config.add_pooling_layer:
            for value in self.bert.pooler.get_parameters():
                value.requires_grad = False

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
        """Logits at the chosen positions.

        Args:
            input_ids, input_mask, segment_ids: int32 [batch, sequence].
            positions: int32 [batch, predictions], columns of each row.
            keeps: dropout masks, see `BertModel`.
            document_ids, position_ids: of rows of several documents, see `BertModel`.

        Returns:
            float32 [batch * predictions, vocab].
        """
        batch, sequence = input_ids.shape
        x = self.bert(input_ids, input_mask, segment_ids, keeps, document_ids, position_ids)
        row_start = ops.reshape(ops.arange(0, batch * sequence, sequence), (batch, 1))
        rows = ops.reshape(positions + ops.cast(row_start, ms.int32), (-1,))
        return self.head(self.gather(x, rows, 0), self.bert.embeddings.word)
