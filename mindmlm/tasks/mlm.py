"""Masked-language modelling: the loss on chosen positions, and what evaluation counts."""

import mindspore as ms
import numpy as np
from mindspore import nn, ops

from mindmlm.data.masking.base import MaskedBatch
from mindmlm.data.packing import PackedBatch
from mindmlm.models.bert.heads import BertForMaskedLM
from mindmlm.models.bert.model import BertPart
from mindmlm.models.functional import MostLikely
from mindmlm.models.graph import Graph
from mindmlm.models.losses import WeightedCrossEntropy
from mindmlm.models.spans import Span


def batch_arrays(batch: MaskedBatch) -> tuple[np.ndarray, ...]:
    """The arrays of a batch in the order that the Cells below take them.

    Rows of several documents add theirs (`PackedBatch`) at the end; the Cells must be made with
    ``packed`` then.
    """
    packing = (batch.document_ids, batch.position_ids) if isinstance(batch, PackedBatch) else ()
    return (
        batch.input_ids,
        batch.input_mask,
        batch.segment_ids,
        batch.masked_lm_positions,
        batch.masked_lm_ids,
        batch.masked_lm_weights,
        *packing,
    )


class MaskedLMPart(nn.Cell):
    """Some of the layers of a model: the activations before them to those behind them.

    Args:
        model: owns the layers.
        span: which layers, by default all that the model has.
        packed: the rows hold several documents each, see `batch_arrays`.
    """

    def __init__(
        self, model: BertForMaskedLM, span: Span | None = None, packed: bool = False
    ) -> None:
        super().__init__(auto_prefix=False)
        self.encoder = BertPart(model.bert, span or model.span)
        self.packed = packed

    def construct(
        self,
        x: ms.Tensor,
        input_ids: ms.Tensor,
        input_mask: ms.Tensor,
        segment_ids: ms.Tensor,
        positions: ms.Tensor,
        labels: ms.Tensor,
        weights: ms.Tensor,
        *others: ms.Tensor,
    ) -> ms.Tensor:
        """Activations [batch * sequence, hidden] of the last layer of the span.

        Args:
            x: those of the layer before; anything where the span has the embeddings.
            input_ids, input_mask, segment_ids: int32 [batch, sequence].
            positions, labels: int32 [batch, predictions].
            weights: float32 [batch, predictions], 0 for padding.
            others: document and position ids of packed rows, then dropout masks.
        """
        if self.packed:
            return self.encoder(
                x, input_ids, input_mask, segment_ids, others[2:], others[0], others[1]
            )
        return self.encoder(x, input_ids, input_mask, segment_ids, others)


class MaskedLMLoss(nn.Cell):
    """Scaled sum of the cross-entropy over chosen positions of one micro-batch.

    Args:
        model, span, packed: see `MaskedLMPart`; the span has the head.
    """

    def __init__(
        self, model: BertForMaskedLM, span: Span | None = None, packed: bool = False
    ) -> None:
        super().__init__(auto_prefix=False)
        self.model = model
        self.part = MaskedLMPart(model, span, packed)
        self.cross_entropy = WeightedCrossEntropy()

    def construct(
        self,
        x: ms.Tensor,
        scale: ms.Tensor,
        input_ids: ms.Tensor,
        input_mask: ms.Tensor,
        segment_ids: ms.Tensor,
        positions: ms.Tensor,
        labels: ms.Tensor,
        weights: ms.Tensor,
        *others: ms.Tensor,
    ) -> ms.Tensor:
        """scale * sum(weight * -log p(label)), float32 [1]; the inputs are those of `MaskedLMPart`.

        `scale`, float32 [1], is loss scale / number of chosen positions in the global batch.
        """
        hidden = self.part(
            x, input_ids, input_mask, segment_ids, positions, labels, weights, *others
        )
        rows = labels.shape[0] * labels.shape[1]
        loss, _ = self.cross_entropy(
            self.model.predict(hidden, positions),
            ops.reshape(labels, (rows,)),
            ops.reshape(weights, (rows,)),
        )
        return loss * scale


class MaskedLMEvaluation(Graph):
    """Sums that evaluation adds up over batches: loss, correct predictions, positions.

    Args:
        model, packed: see `MaskedLMPart`; the model has the head.
    """

    def __init__(self, model: BertForMaskedLM, packed: bool = False) -> None:
        super().__init__(auto_prefix=False)
        self.model = model
        self.part = MaskedLMPart(model, None, packed)
        self.cross_entropy = WeightedCrossEntropy()
        self.most_likely = MostLikely()

    def construct(
        self,
        x: ms.Tensor,
        input_ids: ms.Tensor,
        input_mask: ms.Tensor,
        segment_ids: ms.Tensor,
        positions: ms.Tensor,
        labels: ms.Tensor,
        weights: ms.Tensor,
        *others: ms.Tensor,
    ) -> tuple:
        """Return (loss sum, number correct, number of positions), float32 scalars."""
        hidden = self.part(
            x, input_ids, input_mask, segment_ids, positions, labels, weights, *others
        )
        logits = self.model.predict(hidden, positions)
        rows = labels.shape[0] * labels.shape[1]
        flat_labels, flat_weights = ops.reshape(labels, (rows,)), ops.reshape(weights, (rows,))
        loss, _ = self.cross_entropy(logits, flat_labels, flat_weights)
        hits = ops.cast(ops.equal(self.most_likely(logits), flat_labels), ms.float32)
        return loss, ops.sum(hits * flat_weights), ops.sum(flat_weights)
