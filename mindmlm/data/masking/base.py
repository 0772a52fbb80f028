"""What goes into masking and what comes out."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from mindmlm.tokenizers.bert import BertTokenizer


@dataclass(frozen=True)
class MaskingSettings:
    """The objective of BERT (Devlin et al., 2019, section 3.1).

    Attributes:
        strategy: "token" or "whole_word".
        masked_lm_prob: part of a row's tokens, [CLS] and [SEP] counted, that is predicted.
        mask_prob: of the predicted tokens, the part that becomes [MASK].
        random_prob: ... that becomes a random ordinary token; the rest stays.
        max_predictions_per_seq: P, the largest number of predictions in a row;
            None = ``masked_lm_prob`` times the row length, rounded up.
    """

    strategy: str = "token"
    masked_lm_prob: float = 0.15
    mask_prob: float = 0.8
    random_prob: float = 0.1
    max_predictions_per_seq: int | None = None

    def predictions(self, max_seq_length: int) -> int:
        """Return P for rows of ``max_seq_length`` tokens."""
        if self.max_predictions_per_seq is not None:
            return self.max_predictions_per_seq
        # The decimal that the user wrote, not its binary neighbour: 0.07 of 100 is 7, not 8.
        return math.ceil(Fraction(str(self.masked_lm_prob)) * max_seq_length)


@dataclass(frozen=True)
class VocabularyInfo:
    """What masking and assembly need to know of a vocabulary.

    Attributes:
        pad_id, cls_id, sep_id, mask_id: ids of the special tokens.
        vocab_size: number of tokens.
        is_special: bool [vocab_size]; such tokens are never chosen, nor drawn as replacement.
        ordinary_ids: int32, the ids that are not special.
    """

    pad_id: int
    cls_id: int
    sep_id: int
    mask_id: int
    vocab_size: int
    is_special: np.ndarray
    ordinary_ids: np.ndarray

    @classmethod
    def from_tokenizer(cls, tokenizer: BertTokenizer) -> "VocabularyInfo":
        """Collect the fields from a tokenizer."""
        is_special = np.zeros(tokenizer.vocab_size, np.bool_)
        is_special[tokenizer.special_ids] = True
        return cls(
            pad_id=tokenizer.pad_id,
            cls_id=tokenizer.cls_id,
            sep_id=tokenizer.sep_id,
            mask_id=tokenizer.mask_id,
            vocab_size=tokenizer.vocab_size,
            is_special=is_special,
            ordinary_ids=np.flatnonzero(~is_special).astype(np.int32),
        )


@dataclass(frozen=True)
class TokenBatch:
    """Rows `[CLS] tokens [SEP] [PAD]...` before masking.

    Attributes:
        input_ids: int32 [B, L].
        word_starts: bool [B, L]; True where a word begins. [CLS], [SEP] and the token after
            them begin a word.
        lengths: int64 [B], tokens of a row with its special ones.
    """

    input_ids: np.ndarray
    word_starts: np.ndarray
    lengths: np.ndarray


@dataclass(frozen=True)
class MaskedBatch:
    """What the model is fed; B rows, L columns, P predictions a row.

    Attributes:
        input_ids: int32 [B, L] after masking.
        input_mask: int32 [B, L], 1 = token, 0 = padding.
        segment_ids: int32 [B, L], zeros: one segment.
        masked_lm_positions: int32 [B, P], column in the row, ascending; 0 for padding.
        masked_lm_ids: int32 [B, P], the original tokens; 0 for padding.
        masked_lm_weights: float32 [B, P], 1 = predicted, 0 = padding.
        sample_ids: int64 [B]; -1 for rows that only fill up the last batch.
    """

    input_ids: np.ndarray
    input_mask: np.ndarray
    segment_ids: np.ndarray
    masked_lm_positions: np.ndarray
    masked_lm_ids: np.ndarray
    masked_lm_weights: np.ndarray
    sample_ids: np.ndarray


# (word_starts [B, L], candidates bool [B, L], budget int64 [B], keys uint64 [B], P)
#   -> int64 [B, P]: chosen columns of a row, ascending, then L for "none".
Strategy = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray, int], np.ndarray]

SELECTION_STREAM = 0
ACTION_STREAM = 1
REPLACEMENT_STREAM = 2


def row_budget(lengths: np.ndarray, masked_lm_prob: float, predictions: int) -> np.ndarray:
    """Return how many tokens of each row may be chosen, int64 [B].

    ``min(P, max(1, round(length * masked_lm_prob)))`` with Python's rounding (half to even), as
    in google-research/bert `create_pretraining_data.py`.
    """
    wanted = np.maximum(1, np.rint(lengths * masked_lm_prob).astype(np.int64))
    return np.minimum(predictions, wanted)
