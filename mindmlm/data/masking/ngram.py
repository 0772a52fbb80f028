"""Word n-gram masking (Cui et al., 2020, MacBERT)."""

import numpy as np

from mindmlm.data.hashing import random_bits, threshold
from mindmlm.data.masking.base import LENGTH_STREAM, Rows, row_budget
from mindmlm.data.masking.order import first_columns, rank_columns
from mindmlm.data.masking.words import Which, Words

NGRAM_PROBABILITIES = np.array([0.4, 0.3, 0.2, 0.1])
_BORDERS = [threshold(border) for border in np.cumsum(NGRAM_PROBABILITIES)[:-1]]
_MAX_NGRAM = len(NGRAM_PROBABILITIES)
_OFFSETS = np.arange(_MAX_NGRAM)
_FOUR_FLAGS = np.uint32
# Among so many rows, those that are done cost less than to leave them out.
_FEW_ROWS = 128
# Beginnings that are ordered beyond the number of words wanted: some are passed over.
_SPARE = 8


def select_ngrams(rows: Rows, which: Which, masked_lm_prob: float, predictions: int) -> np.ndarray:
    """Return n-grams of 1 to 4 whole words, drawn with 40, 30, 20 and 10 %.

    The budget counts words: ``max(1, round(n * masked_lm_prob))``, n = words without special
    tokens; of tokens there are at most P. The n of each n-gram is drawn first and kept until
    a beginning is found where it fits, so that places do not bend the shares; it is cut to what
    is left of the budget and of P, and before a special token. A beginning whose n-gram would
    overlap an earlier one is passed over.
    See `mindmlm.data.masking.base.Strategy`.
    """
    words, numbers = rows.words, rows.numbers(which)
    eligible = words.usable_starts[which]
    counts = np.add.reduce(eligible.view(np.uint8), axis=1, dtype=np.int64)
    budget = np.minimum(row_budget(counts, masked_lm_prob, words.shape[1]), counts)
    ranked = rank_columns(eligible, rows, which)
    walk = _Walk(words, rows.keys[which], budget, predictions)
    order = first_columns(ranked, int(budget.max(initial=0)) + _SPARE)
    left = walk.take(words.at(order, numbers))
    if len(left) and order.shape[1] < words.shape[1]:
        rest = first_columns(ranked[left], words.shape[1])[:, order.shape[1] :]
        walk.take(words.at(rest, numbers[left]))
    return words.tokens_of(walk.taken, which)


class _Walk:
    """Takes n-grams in all rows at once, one beginning of each row after the other."""

    def __init__(
        self, words: Words, keys: np.ndarray, budget: np.ndarray, predictions: int
    ) -> None:
        self._first = np.concatenate([words.first, words.first[-1:].repeat(_MAX_NGRAM)])
        self._runs = words.runs
        drawn = int(budget.max(initial=0)) + 1
        self._lengths = ngram_lengths(keys[:, None], np.arange(drawn)).ravel()
        self.taken = np.zeros(words.number + _MAX_NGRAM, np.bool_)
        self._row = np.arange(len(budget))
        self._words_left = budget.copy()
        self._tokens_left = np.full(len(budget), predictions)
        self._next_length = self._row * drawn

    def take(self, beginnings: np.ndarray) -> np.ndarray:
        """Try beginnings of the rows that choose; return the rows that still do.

        Args:
            beginnings: int64 [b, K], words; `Words.number` where a row has no more.
        """
        word = np.ascontiguousarray(beginnings.T)
        run = self._runs.take(word)
        for number in range(len(word)):
            # A word has a token at least.
            left = np.minimum(self._words_left, self._tokens_left)
            choosing = left > 0
            count = np.count_nonzero(choosing)
            if not count:
                break
            if 2 * count < len(choosing) > _FEW_ROWS:
                # Go on without the rows that are done.
                self._keep(choosing)
                word, run, left = word[:, choosing], run[:, choosing], left[choosing]
            self._try(word[number], np.minimum(run[number], left))
        self._keep(np.minimum(self._words_left, self._tokens_left) > 0)
        return self._row

    def _keep(self, which: np.ndarray) -> None:
        self._row, self._next_length = self._row[which], self._next_length[which]
        self._words_left = self._words_left[which]
        self._tokens_left = self._tokens_left[which]

    def _try(self, word: np.ndarray, most: np.ndarray) -> None:
        """Take the n-grams of at most ``most`` words that begin at ``word``, one of each row."""
        length = np.minimum(self._lengths.take(self._next_length), most)
        size = self._first.take(word + length)
        size -= self._first.take(word)
        over = (size > self._tokens_left).nonzero()[0]
        if len(over):
            length[over], size[over] = self._shorten(word[over], self._tokens_left[over])
        members = word[:, None] + _OFFSETS
        inside = length[:, None] > _OFFSETS
        overlap = self.taken.take(members)
        overlap &= inside
        # All flags of an n-gram at once.
        fits = overlap.view(_FOUR_FLAGS).ravel() == 0
        fits &= length > 0
        inside &= fits[:, None]
        self.taken[members[inside]] = True
        self._next_length += fits
        self._words_left -= length * fits
        self._tokens_left -= size * fits

    def _shorten(self, word: np.ndarray, tokens_left: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return words and tokens of n-grams that are too long, cut to ``tokens_left``."""
        ends = self._first.take(word[:, None] + (_OFFSETS + 1))
        sizes = ends - self._first.take(word)[:, None]
        inside = sizes <= tokens_left[:, None]
        return inside.sum(axis=1), np.where(inside, sizes, 0).max(axis=1)


def ngram_lengths(keys: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Return int64, words of n-gram number ``numbers`` of a row; the arguments broadcast."""
    bits = random_bits(keys, LENGTH_STREAM, numbers)
    lengths = np.ones(bits.shape, np.int64)
    for border in _BORDERS:
        lengths += bits >= border
    return lengths
