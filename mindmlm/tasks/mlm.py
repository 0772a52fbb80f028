"""Masked-language modelling: the loss on chosen positions, and what evaluation counts."""

import mindspore as ms
import numpy as np
from mindspore import nn, ops

from mindmlm.data.masking.base import MaskedBatch
from mindmlm.models.functional import WeightedCrossEntropy


def batch_arrays(batch: MaskedBatch) -> tuple[np.ndarray, ...]:
    """The arrays of a batch in the order that the Cells below take them."""
    return (
        batch.input_ids,
        batch.input_mask,
        batch.segment_ids,
        batch.masked_lm_positions,
        batch.masked_lm_ids,
        batch.masked_lm_weights,
    )


class MaskedLMLoss(nn.Cell):
    """Scaled sum of the cross-entropy over chosen positions of one micro-batch."""

    def __init__(self, model: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.model = model
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
        *keeps: ms.Tensor,
    ) -> ms.Tensor:
        """scale * sum(weight * -log p(label)), a scalar.

        Args:
            scale: loss scale / number of chosen positions in the global batch.
            input_ids, input_mask, segment_ids: int32 [batch, sequence].
            positions, labels: int32 [batch, predictions].
            weights: float32 [batch, predictions], 0 for padding.
            keeps: dropout masks.
        """
        logits = self.model(input_ids, input_mask, segment_ids, positions, keeps)
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
    ) -> tuple:
        """Return (loss sum, number correct, number of positions), float32 scalars."""
        logits = self.model(input_ids, input_mask, segment_ids, positions, ())
        rows = labels.shape[0] * labels.shape[1]
        flat_labels, flat_weights = ops.reshape(labels, (rows,)), ops.reshape(weights, (rows,))
        loss, _ = self.cross_entropy(logits, flat_labels, flat_weights)
        hits = ops.cast(ops.equal(ops.argmax(logits, -1), flat_labels), ms.float32)
        return loss, ops.sum(hits * flat_weights), ops.sum(flat_weights)
