"""Masked-language modelling: the loss on chosen positions, and what evaluation counts."""

import mindspore as ms
import numpy as np
from mindspore import nn, ops

from mindmlm.data.masking.base import MaskedBatch
from mindmlm.data.packing import PackedBatch
from mindmlm.models.functional import WeightedCrossEntropy


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


class MaskedLMLoss(nn.Cell):
    """Scaled sum of the cross-entropy over chosen positions of one micro-batch.

    Args:
        model: Cell (ids, mask, segments, positions, keeps, document ids, position ids) -> logits.
        packed: the rows hold several documents each, see `batch_arrays`.
    """

    def __init__(self, model: nn.Cell, packed: bool = False) -> None:
        super().__init__(auto_prefix=False)
        self.model = model
        self.packed = packed
        self.cross_entropy = WeightedCrossEntropy()

    def construct(
        self,
        scale: ms.Tensor,
        input_ids: ms.Tensor,
        input_mask: ms.Tensor,
        segment_ids: ms.Tensor,
        positions: ms.Tensor,
        labels: ms.Tensor,
        weights: ms.Tensor,
        *others: ms.Tensor,
    ) -> ms.Tensor:
        """scale * sum(weight * -log p(label)), a scalar.

        Args:
            scale: loss scale / number of chosen positions in the global batch.
            input_ids, input_mask, segment_ids: int32 [batch, sequence].
            positions, labels: int32 [batch, predictions].
            weights: float32 [batch, predictions], 0 for padding.
            others: document and position ids of packed rows, then dropout masks.
        """
        if self.packed:
            logits = self.model(
                input_ids, input_mask, segment_ids, positions, others[2:], others[0], others[1]
            )
        else:
            logits = self.model(input_ids, input_mask, segment_ids, positions, others)
        rows = labels.shape[0] * labels.shape[1]
        loss, _ = self.cross_entropy(
            logits, ops.reshape(labels, (rows,)), ops.reshape(weights, (rows,))
        )
        return loss * scale


class MaskedLMEvaluation(nn.Cell):
    """Sums that evaluation adds up over batches: loss, correct predictions, positions."""

    def __init__(self, model: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.model = model
        self.cross_entropy = WeightedCrossEntropy()

    def construct(
        self,
        input_ids: ms.Tensor,
        input_mask: ms.Tensor,
        segment_ids: ms.Tensor,
        positions: ms.Tensor,
        labels: ms.Tensor,
        weights: ms.Tensor,
        document_ids: ms.Tensor | None = None,
        position_ids: ms.Tensor | None = None,
    ) -> tuple:
        """Return (loss sum, number correct, number of positions), float32 scalars."""
        logits = self.model(
            input_ids, input_mask, segment_ids, positions, (), document_ids, position_ids
        )
        rows = labels.shape[0] * labels.shape[1]
        flat_labels, flat_weights = ops.reshape(labels, (rows,)), ops.reshape(weights, (rows,))
        loss, _ = self.cross_entropy(logits, flat_labels, flat_weights)
        hits = ops.cast(ops.equal(ops.argmax(logits, -1), flat_labels), ms.float32)
        return loss, ops.sum(hits * flat_weights), ops.sum(flat_weights)
