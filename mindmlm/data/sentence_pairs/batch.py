"""A batch of pairs with their labels."""

from dataclasses import dataclass, fields

import numpy as np

from mindmlm.data.masking import MaskedBatch


@dataclass(frozen=True)
class PairBatch(MaskedBatch):
    """A batch of rows `[CLS] A [SEP] B [SEP]`.

    Attributes:
        next_sentence_labels: int32 [B], 0 = B follows A, 1 = it does not; 0 where it is unknown.
    """

    next_sentence_labels: np.ndarray

    @classmethod
    def of(cls, masked: MaskedBatch, segment_ids: np.ndarray, labels: np.ndarray) -> "PairBatch":
        """Return masked rows as pairs.

        Args:
            masked: the rows.
            segment_ids: [B, L], 1 for B and the [SEP] behind it.
            labels: [B].
        """
        values = {entry.name: getattr(masked, entry.name) for entry in fields(MaskedBatch)}
        values["segment_ids"] = segment_ids.astype(np.int32)
        return cls(**values, next_sentence_labels=labels.astype(np.int32))
