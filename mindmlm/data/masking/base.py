"""What goes into masking and what comes out."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from mindmlm.data.masking.similar_words import SimilarWords
from mindmlm.data.masking.terms import TermTable
from mindmlm.data.masking.words import Which, Words, group_words
from mindmlm.tokenizers.files import MaskingTokenizer


@dataclass(frozen=True)
class MaskingSettings:
    """What is hidden, how much of it and what takes its place.

    Attributes:
        strategy: a name in `mindmlm.data.masking.apply.STRATEGIES`, or "mixture".
        masked_lm_prob: part of a row that is predicted; each strategy says of what.
        mask_prob: of the predicted tokens, the part that becomes [MASK] ("macbert": a similar
            word).
        random_prob: ... that becomes random tokens; the rest stays.
        max_predictions_per_seq: P, the largest number of predictions in a row;
            None = the largest ``masked_lm_prob`` of the run times the row length, rounded up.
        unit: what one draw of [MASK], random or unchanged is made for: "piece", "word", or
            "published", as the strategy's authors did.
        mixture: (strategy, weight) pairs for the strategy "mixture"; each row draws one of them.
        masked_lm_prob_end: the rate goes linearly from ``masked_lm_prob`` to this one ...
        masked_lm_prob_steps: ... in so many steps, then stays; None = one rate all the time.
        terms: words to be chosen more often, or None.
        similar_words: what "macbert" puts in place of words; it needs them.
        corpus_tokens: int32; "span" draws its random tokens from these, with their frequencies;
            None = from the vocabulary.
        token_weights: float64 [V]; "rare_token" needs them: the chance of each token.
    """

    strategy: str = "token"
    masked_lm_prob: float = 0.15
    mask_prob: float = 0.8
    random_prob: float = 0.1
    max_predictions_per_seq: int | None = None
    unit: str = "published"
    mixture: tuple[tuple[str, float], ...] = ()
    masked_lm_prob_end: float | None = None
    masked_lm_prob_steps: int | None = None
    terms: TermTable | None = None
    similar_words: SimilarWords | None = None
    corpus_tokens: np.ndarray | None = field(default=None, compare=False, repr=False)
    token_weights: np.ndarray | None = field(default=None, compare=False, repr=False)

    def identity(self) -> dict[str, Any]:
        """Return JSON values that decide the masks, for a digest; without arrays of the corpus."""
        values = {item.name: getattr(self, item.name) for item in fields(self) if item.compare}
        terms, words = self.terms, self.similar_words
        return {
            **values,
            "terms": None if terms is None else terms.fingerprint(),
            "similar_words": None if words is None else words.fingerprint(),
        }

    def predictions(self, max_seq_length: int) -> int:
        """Return P for rows of ``max_seq_length`` tokens."""
        if self.max_predictions_per_seq is not None:
            return self.max_predictions_per_seq
        return _part_of(max(self.masked_lm_prob, self.masked_lm_prob_end or 0.0), max_seq_length)

    def at_step(self, step: int, max_seq_length: int) -> "MaskingSettings":
        """Return the settings with the rate of global step ``step`` (from 0) and the same P."""
        if self.masked_lm_prob_end is None or self.masked_lm_prob_steps is None:
            return self
        part = min(1.0, step / self.masked_lm_prob_steps)
        rate = self.masked_lm_prob + part * (self.masked_lm_prob_end - self.masked_lm_prob)
        return replace(
            self,
            masked_lm_prob=rate,
            masked_lm_prob_end=None,
            max_predictions_per_seq=self.predictions(max_seq_length),
        )


@lru_cache(maxsize=64)
def _part_of(rate: float, length: int) -> int:
    # The decimal that the user wrote, not its binary neighbour: 0.07 of 100 is 7, not 8.
    return math.ceil(Fraction(str(rate)) * length)


@dataclass(frozen=True)
class VocabularyInfo:
    """What masking and assembly need to know of a vocabulary.

    Attributes:
        pad_id, cls_id, sep_id, mask_id: ids of the special tokens.
        vocab_size: number of tokens.
        is_special: bool [vocab_size]; such tokens are never chosen, nor drawn as replacement.
        ordinary_ids: int32, the ids that are not special.
        last_special_id: the largest id that is special; -1 = none is.
    """

    pad_id: int
    cls_id: int
    sep_id: int
    mask_id: int
    vocab_size: int
    is_special: np.ndarray
    ordinary_ids: np.ndarray
    last_special_id: int

    def ordinary(self, ids: np.ndarray, inside: np.ndarray) -> np.ndarray:
        """Return bool [B, L], the tokens that are neither special nor padding.

        Args:
            ids: int32 [B, L].
            inside: bool [B, L], no padding.
        """
        found = inside.copy()
        # Special tokens mostly have the first ids of a vocabulary, so few are looked up.
        perhaps = np.flatnonzero(ids <= self.last_special_id)
        found.ravel()[perhaps] &= ~self.is_special[ids.ravel()[perhaps]]
        return found

    @classmethod
    def from_tokenizer(cls, tokenizer: MaskingTokenizer) -> "VocabularyInfo":
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
            last_special_id=int(np.flatnonzero(is_special).max(initial=-1)),
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


@dataclass(frozen=True)
class Rows:
    """What strategies choose from.

    Attributes:
        word_starts: bool [B, L], as in `TokenBatch`; terms have become one word.
        ordinary: bool [B, L], tokens that may be chosen: neither special nor padding.
        lengths: int64 [B], tokens of a row with its special ones.
        keys: uint64 [B], of the random bits.
        terms: bool [B, L], tokens of terms; None = there are none.
        term_weight: how many times as likely as another a term is to be the next choice.
        token_weights: float64 [B, L], see `MaskingSettings`; None = all alike.
    """

    word_starts: np.ndarray
    ordinary: np.ndarray
    lengths: np.ndarray
    keys: np.ndarray
    terms: np.ndarray | None = None
    term_weight: float = 1.0
    token_weights: np.ndarray | None = None

    @cached_property
    def words(self) -> Words:
        """The words of all rows; the strategies of a mixture share them."""
        return group_words(self.word_starts, self.ordinary)

    def numbers(self, which: Which) -> np.ndarray:
        """Return int64 [b], the numbers of some rows."""
        return np.arange(len(self.keys))[which]


# (rows, which of them, masked_lm_prob, P) -> bool [b, L]: the chosen tokens of those rows, at most
# P in a row.
Strategy = Callable[[Rows, Which, float, int], np.ndarray]

SELECTION_STREAM = 0
ACTION_STREAM = 1
REPLACEMENT_STREAM = 2
LENGTH_STREAM = 3
MIXTURE_STREAM = 4


def row_budget(lengths: np.ndarray, masked_lm_prob: float, predictions: int) -> np.ndarray:
    """Return how many tokens of each row may be chosen, int64 [B].

    ``min(P, max(1, round(length * masked_lm_prob)))`` with Python's rounding (half to even), as
    in google-research/bert `create_pretraining_data.py`.
    """
    wanted = np.maximum(1, np.rint(lengths * masked_lm_prob).astype(np.int64))
    return np.minimum(predictions, wanted)
