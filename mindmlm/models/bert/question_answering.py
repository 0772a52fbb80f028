"""BERT that finds the answer to a question in a text (Devlin et al. 2018, section 4.2)."""

import mindspore as ms
from mindspore import Parameter, nn, ops

from mindmlm.config.schema.bert import BertModelConfig
from mindmlm.models.bert.model import BertModel, BertPart
from mindmlm.models.layers import Dense, number_layers
from mindmlm.models.spans import Span


class BertForQuestionAnswering(nn.Cell):
    """Encoder with two scores for each position: an answer begins here, an answer ends here.

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
        self.bert = BertModel(config, vocab_size, span, decodes_words=False, scores_padding=True)
        self.span = self.bert.span
        if self.span.last:
            self.qa = Dense(config.hidden_size, 2, config.compute_dtype)
        if config.add_pooling_layer and self.span.last:
            for value in self.bert.pooler.get_parameters():
                value.requires_grad = False
        number_layers(self.bert.layers, "bert.layers", self.span)

    def parameters_of(self, span: Span) -> list[Parameter]:
        """Trained parameters that a part of the model uses."""
        values = BertPart(self.bert, span).trainable_params()
        if span.last:
            values += self.qa.trainable_params()
        return list({value.name: value for value in values}.values())

    def predict(self, x: ms.Tensor, batch: int) -> ms.Tensor:
        """[batch * sequence, hidden] -> scores [2, batch, sequence] of starts and of ends."""
        scores = ops.reshape(self.qa(x), (batch, -1, 2))
        return ops.transpose(scores, (2, 0, 1))

    def construct(
        self, input_ids: ms.Tensor, input_mask: ms.Tensor, segment_ids: ms.Tensor, keeps: tuple
    ) -> ms.Tensor:
        """Scores of starts and ends, for a model that was built whole.

        Args:
            input_ids, input_mask, segment_ids: int32 [batch, sequence].
            keeps: dropout masks, see `BertModel`.

        Returns:
            float32 [2, batch, sequence]; positions of padding have scores too.
        """
        x = self.bert(None, input_ids, input_mask, segment_ids, keeps)
        return self.predict(x, input_ids.shape[0])
