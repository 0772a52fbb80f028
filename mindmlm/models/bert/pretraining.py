"""BERT as published: hidden words, and whether two segments belong together (section 3.1)."""

import mindspore as ms
from mindspore import Parameter

from mindmlm.config.schema.bert import BertModelConfig
from mindmlm.models.bert.heads import BertForMaskedLM
from mindmlm.models.layers import Dense
from mindmlm.models.spans import Span


class BertForPreTraining(BertForMaskedLM):
    """`BertForMaskedLM` with two scores for a row: B follows A, B does not.

    The pooler is always there, and trained: the scores are made from it. As
    `get_next_sentence_output` of google-research/bert `run_pretraining.py`; without dropout.

    Args:
        config: the model section of the configuration.
        vocab_size: rows of the word embedding.
        span: the layers to build, see `BertModel`; the heads are there with the last one.
    """

    def __init__(self, config: BertModelConfig, vocab_size: int, span: Span | None = None) -> None:
        super().__init__(config.model_copy(update={"add_pooling_layer": True}), vocab_size, span)
        if self.span.last:
            self.seq_relationship = Dense(config.hidden_size, 2, config.compute_dtype)
            for value in self.bert.pooler.get_parameters():
                value.requires_grad = True

    def parameters_of(self, span: Span) -> list[Parameter]:
        """See `BertForMaskedLM`."""
        values = super().parameters_of(span)
        if span.last:
            values += self.bert.pooler.trainable_params()
            values += self.seq_relationship.trainable_params()
        return values

    def predict_pairs(self, x: ms.Tensor, batch: int) -> ms.Tensor:
        """x [batch * sequence, hidden] -> scores [batch, 2]: B follows A, B does not."""
        return self.seq_relationship(self.bert.pool(x, batch))
