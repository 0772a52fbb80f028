"""What masking really does to a text: counts over many rows."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mindmlm.data.masking import MaskedBatch, TokenBatch, VocabularyInfo

LONGEST = 10


@dataclass
class MaskCounts:
    """Sums over masked rows.

    Attributes:
        rows: rows. rows_without: those that predict nothing.
        tokens: tokens, special ones included. ordinary: without them.
        predicted: predicted tokens.
        slots: predictions that the rows have room for.
        masked: predicted tokens that became [MASK].
        changed: ... another token. kept: ... stayed (by design or because the same was drawn).
        words, words_whole, words_part: int64 [11], by number of tokens (the last entry: more than
            9): words, words predicted whole, words of which only a part is predicted.
        word_tokens, word_predicted: the same for tokens: all, and predicted ones.
        terms, terms_predicted: tokens of terms, and the predicted ones of them.
    """

    rows: int = 0
    rows_without: int = 0
    tokens: int = 0
    ordinary: int = 0
    predicted: int = 0
    slots: int = 0
    masked: int = 0
    changed: int = 0
    kept: int = 0
    words: np.ndarray = field(default_factory=lambda: np.zeros(LONGEST + 1, np.int64))
    words_whole: np.ndarray = field(default_factory=lambda: np.zeros(LONGEST + 1, np.int64))
    words_part: np.ndarray = field(default_factory=lambda: np.zeros(LONGEST + 1, np.int64))
    word_tokens: np.ndarray = field(default_factory=lambda: np.zeros(LONGEST + 1, np.int64))
    word_predicted: np.ndarray = field(default_factory=lambda: np.zeros(LONGEST + 1, np.int64))
    terms: int = 0
    terms_predicted: int = 0

    def add(
        self,
        tokens: TokenBatch,
        batch: MaskedBatch,
        vocabulary: VocabularyInfo,
        terms: np.ndarray | None = None,
    ) -> None:
        """Count one batch.

        Args:
            tokens: the rows before masking. batch: after it.
            vocabulary: the special tokens.
            terms: bool [B, L], tokens of terms.
        """
        columns = tokens.input_ids.shape[1]
        inside = np.arange(columns) < tokens.lengths[:, None]
        ordinary = inside & ~vocabulary.is_special[tokens.input_ids]
        chosen = predicted_tokens(batch)
        after, before = batch.input_ids[chosen], tokens.input_ids[chosen]
        self.rows += len(tokens.lengths)
        self.rows_without += int((~chosen.any(axis=1)).sum())
        self.tokens += int(inside.sum())
        self.ordinary += int(ordinary.sum())
        self.predicted += int(chosen.sum())
        self.slots += batch.masked_lm_weights.size
        self.masked += int((after == vocabulary.mask_id).sum())
        self.kept += int((after == before).sum())
        self.changed = self.predicted - self.masked - self.kept
        self._add_words(tokens.word_starts, ordinary, chosen)
        if terms is not None:
            self.terms += int(terms.sum())
            self.terms_predicted += int((terms & chosen).sum())

    def _add_words(self, word_starts: np.ndarray, ordinary: np.ndarray, chosen: np.ndarray) -> None:
        first = np.flatnonzero(word_starts)
        sizes = np.diff(first, append=word_starts.size)
        usable = np.add.reduceat(ordinary.ravel().astype(np.int64), first) == sizes
        hit = np.add.reduceat(chosen.ravel().astype(np.int64), first)[usable]
        sizes = sizes[usable]
        length = np.minimum(sizes, LONGEST)

        def count(weights: np.ndarray) -> np.ndarray:
            return np.bincount(length, weights, LONGEST + 1).astype(np.int64)

        self.words += count(np.ones(len(sizes)))
        self.words_whole += count(hit == sizes)
        self.words_part += count((hit > 0) & (hit < sizes))
        self.word_tokens += count(sizes)
        self.word_predicted += count(hit)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; shares are None where nothing was counted."""
        touched = self.words_whole + self.words_part
        return {
            "rows": self.rows,
            "rows_without_prediction": self.rows_without,
            "tokens": self.tokens,
            "ordinary_tokens": self.ordinary,
            "predicted": self.predicted,
            "rate": share(self.predicted, self.tokens),
            "rate_of_ordinary_tokens": share(self.predicted, self.ordinary),
            "predictions_filled": share(self.predicted, self.slots),
            "mask": self.masked,
            "changed": self.changed,
            "unchanged": self.kept,
            "mask_share": share(self.masked, self.predicted),
            "changed_share": share(self.changed, self.predicted),
            "unchanged_share": share(self.kept, self.predicted),
            "words_predicted": int(touched.sum()),
            "whole_word_share": share(int(self.words_whole.sum()), int(touched.sum())),
            "by_word_length": [
                {
                    "tokens": length,
                    "and_more": length == LONGEST,
                    "words": int(self.words[length]),
                    "predicted_whole": int(self.words_whole[length]),
                    "predicted_in_part": int(self.words_part[length]),
                    "rate": share(int(self.word_predicted[length]), int(self.word_tokens[length])),
                }
                for length in np.flatnonzero(self.words).tolist()
            ],
            "term_tokens": self.terms,
            "term_rate": share(self.terms_predicted, self.terms),
        }


def predicted_tokens(batch: MaskedBatch) -> np.ndarray:
    """Return bool [B, L], the tokens that the rows predict."""
    chosen = np.zeros(batch.input_ids.shape, np.bool_)
    row, slot = np.nonzero(batch.masked_lm_weights)
    chosen[row, batch.masked_lm_positions[row, slot]] = True
    return chosen


def share(part: int, whole: int) -> float | None:
    """Return the quotient, None when there is nothing to divide by."""
    return part / whole if whole else None
