"""Question answering: the loss on the first and last word of the answer."""

from typing import TYPE_CHECKING

import mindspore as ms
import numpy as np
from mindspore import nn, ops

from mindmlm.models.bert.model import BertPart
from mindmlm.models.bert.question_answering import BertForQuestionAnswering
from mindmlm.models.graph import Graph
from mindmlm.models.losses import WeightedCrossEntropy
from mindmlm.models.spans import Span

if TYPE_CHECKING:
    from mindmlm.data.question_answering.batches import QuestionBatch


def batch_arrays(batch: "QuestionBatch") -> tuple[np.ndarray, ...]:
    """The arrays of a batch in the order that the Cells below take them."""
    return (
        batch.input_ids,
        batch.input_mask,
        batch.segment_ids,
        batch.start_positions,
        batch.end_positions,
        batch.weights,
    )


class QuestionAnsweringPart(nn.Cell):
    """Some of the layers of a model: the activations before them to those behind them.

    Args:
        model: owns the layers.
        span: which layers, by default all that the model has.
    """

    def __init__(self, model: BertForQuestionAnswering, span: Span | None = None) -> None:
        super().__init__(auto_prefix=False)
        self.encoder = BertPart(model.bert, span or model.span)

    def construct(
        self,
        x: ms.Tensor,
        input_ids: ms.Tensor,
        input_mask: ms.Tensor,
        segment_ids: ms.Tensor,
        starts: ms.Tensor,
        ends: ms.Tensor,
        weights: ms.Tensor,
        *keeps: ms.Tensor,
    ) -> ms.Tensor:
        """Activations [batch * sequence, hidden] of the last layer of the span.

        Args:
            x: those of the layer before; anything where the span has the embeddings.
            input_ids, input_mask, segment_ids: int32 [batch, sequence].
            starts, ends: int32 [batch], columns of the answer.
            weights: float32 [batch], 0 for rows without a loss.
            keeps: dropout masks.
        """
        return self.encoder(x, input_ids, input_mask, segment_ids, keeps)


class SpanCrossEntropy(nn.Cell):
    """Mean of the cross-entropies of the starts and of the ends, summed over rows."""

    def __init__(self) -> None:
        super().__init__()
        self.cross_entropy = WeightedCrossEntropy()

    def construct(
        self, scores: ms.Tensor, starts: ms.Tensor, ends: ms.Tensor, weights: ms.Tensor
    ) -> ms.Tensor:
        """scores [2, batch, sequence], the others [batch] -> sum of the rows' losses, a scalar."""
        loss, _ = self.cross_entropy(
            ops.reshape(scores, (-1, scores.shape[2])),
            ops.concat((starts, ends), 0),
            ops.concat((weights, weights), 0),
        )
        return loss * 0.5


class QuestionAnsweringLoss(nn.Cell):
    """Scaled sum of the rows' losses of one micro-batch.

    Args:
        model, span: see `QuestionAnsweringPart`; the span has the head.
    """

    def __init__(self, model: BertForQuestionAnswering, span: Span | None = None) -> None:
        super().__init__(auto_prefix=False)
        self.model = model
        self.part = QuestionAnsweringPart(model, span)
        # In a Cell of its own: these scores are never divided, as those over a vocabulary may be.
        self.span_loss = SpanCrossEntropy()

    def construct(
        self,
        x: ms.Tensor,
        scale: ms.Tensor,
        input_ids: ms.Tensor,
        input_mask: ms.Tensor,
        segment_ids: ms.Tensor,
        starts: ms.Tensor,
        ends: ms.Tensor,
        weights: ms.Tensor,
        *keeps: ms.Tensor,
    ) -> ms.Tensor:
        """scale * sum of the rows' losses, float32 [1]; inputs as of `QuestionAnsweringPart`.

        `scale`, float32 [1], is loss scale / number of rows in the global batch, so that it is the
        loss of `BertForQuestionAnswering` in transformers.
        """
        hidden = self.part(x, input_ids, input_mask, segment_ids, starts, ends, weights, *keeps)
        scores = self.model.predict(hidden, input_ids.shape[0])
        return self.span_loss(scores, starts, ends, weights) * scale


class QuestionAnsweringEvaluation(Graph):
    """Scores of a batch, and the sum of its rows' losses.

    Args:
        model: has the head.
    """

    def __init__(self, model: BertForQuestionAnswering) -> None:
        super().__init__(auto_prefix=False)
        self.model = model
        self.part = QuestionAnsweringPart(model)
        self.span_loss = SpanCrossEntropy()

    def construct(
        self,
        x: ms.Tensor,
        input_ids: ms.Tensor,
        input_mask: ms.Tensor,
        segment_ids: ms.Tensor,
        starts: ms.Tensor,
        ends: ms.Tensor,
        weights: ms.Tensor,
    ) -> tuple:
        """Return (scores [2, batch, sequence], loss sum []), float32."""
        hidden = self.part(x, input_ids, input_mask, segment_ids, starts, ends, weights)
        scores = self.model.predict(hidden, input_ids.shape[0])
        return scores, self.span_loss(scores, starts, ends, weights)
