"""Span masking (Joshi et al., 2020, SpanBERT)."""

from dataclasses import replace

import numpy as np

from mindmlm.data.hashing import random_bits, to_unit_interval
from mindmlm.data.masking.base import LENGTH_STREAM, Rows, row_budget
from mindmlm.data.masking.order import first_columns, rank_columns
from mindmlm.data.masking.words import Which, Words

GEOMETRIC_P = 0.2
MAX_SPAN = 10
_WEIGHTS = GEOMETRIC_P * (1 - GEOMETRIC_P) ** np.arange(MAX_SPAN)
SPAN_LENGTH_PROBABILITIES = _WEIGHTS / _WEIGHTS.sum()
_CUMULATIVE = np.cumsum(SPAN_LENGTH_PROBABILITIES)[:-1]
# Anchors that are ordered beyond the number that most rows need.
_SPARE = 8
_MEAN_SPAN = float((SPAN_LENGTH_PROBABILITIES * np.arange(1, MAX_SPAN + 1)).sum())


def select_spans(rows: Rows, which: Which, masked_lm_prob: float, predictions: int) -> np.ndarray:
    """Return spans of 1 to 10 words, their lengths geometric with p = 0.2, mean 3.8.

    The budget is ``min(P, ceil(n * masked_lm_prob))``, n = ordinary tokens. An anchor is drawn
    from the tokens that no span covers yet and moved to the first token of its word; spans may
    overlap; the last one ends where the budget does, be it inside of a word, so the budget is
    always met (SpanBERT, `pretraining/fairseq/data/masking.py`). A span ends before a word that
    holds a special token. See `mindmlm.data.masking.base.Strategy`.
    """
    # 0.15 * 100 is 15.000000000000002 in some spellings: no ceiling above what was asked for.
    wanted = np.ceil(_ordinary(rows, which) * masked_lm_prob - 1e-9).astype(np.int64)
    return _select(rows, which, np.minimum(predictions, wanted))


def select_token_spans(
    rows: Rows, which: Which, masked_lm_prob: float, predictions: int
) -> np.ndarray:
    """Return spans of 1 to 10 tokens that begin anywhere, the form of earlier MLM scripts.

    As `select_spans`, every token being a word, with the budget
    ``min(P, max(1, round(n * masked_lm_prob)))``, n = ordinary tokens. A row without ordinary
    tokens predicts nothing.
    """
    tokens = replace(rows, word_starts=np.ones_like(rows.word_starts))
    budget = row_budget(_ordinary(rows, which), masked_lm_prob, predictions)
    return _select(tokens, which, budget)


def _ordinary(rows: Rows, which: Which) -> np.ndarray:
    """Return int64 [b], ordinary tokens of each row."""
    return np.add.reduce(rows.ordinary[which].view(np.uint8), axis=1, dtype=np.int64)


def _select(rows: Rows, which: Which, budget: np.ndarray) -> np.ndarray:
    words = rows.words
    usable = words.usable_tokens[which]
    budget = np.minimum(budget, np.add.reduce(usable.view(np.uint8), axis=1, dtype=np.int64))
    ranked = rank_columns(usable, rows, which)
    walk = _Walk(words, rows.numbers(which), rows.keys[which], budget)
    order = first_columns(ranked, int(2 * budget.max(initial=0) / _MEAN_SPAN) + _SPARE)
    left = walk.cover(order)
    if len(left) and order.shape[1] < words.shape[1]:
        walk.cover(first_columns(ranked[left], words.shape[1])[:, order.shape[1] :])
    return walk.covered[:-1].reshape(words.shape)[which]


class _Walk:
    """Covers spans in all rows at once, one anchor of each row after the other."""

    def __init__(
        self, words: Words, numbers: np.ndarray, keys: np.ndarray, budget: np.ndarray
    ) -> None:
        self._words = words
        self._runs = words.runs
        self._begin = numbers * words.shape[1]
        self._keys = keys
        # One place more, which is always covered, for "no anchor".
        self.covered = np.zeros(words.shape[0] * words.shape[1] + 1, np.bool_)
        self.covered[-1] = True
        self._row = np.arange(len(budget))
        self._left = budget.copy()
        self._tried = 0

    def cover(self, columns: np.ndarray) -> np.ndarray:
        """Try anchors of the rows that are not done; return the rows that still are not.

        Args:
            columns: int64 [b, K]; L where a row has no more.
        """
        length = self._words.shape[1]
        place = (columns + self._begin[self._row][:, None]).T
        place = np.where(length > columns.T, place, len(self.covered) - 1)
        word = self._words.of_token.take(place)
        run = self._runs.take(word)
        tried = self._tried + np.arange(len(place))
        run = np.minimum(run, span_lengths(self._keys[self._row], tried[:, None]))
        begin, end = self._words.first.take(word), self._words.first.take(word + run)
        for number in range(len(place)):
            # Anchors that spans cover are passed over.
            free = ((self._left > 0) > self.covered.take(place[number])).nonzero()[0]
            if len(free):
                self._cover(begin[number, free], end[number, free], free)
            elif not self._left.any() or (columns[:, number] == length).all():
                break
        self._tried += len(place)
        undone = self._left > 0
        self._row, self._left = self._row[undone], self._left[undone]
        return self._row

    def _cover(self, begin: np.ndarray, end: np.ndarray, which: np.ndarray) -> None:
        """Cover what is new in ``begin`` .. ``end``, as far as the budget goes."""
        size = end - begin
        last = size.cumsum()
        place = (begin - last + size).repeat(size)
        place += np.arange(last[-1])
        # How many new places there are up to each one, counted over all spans.
        count = (~self.covered.take(place)).cumsum()
        upto = count.take(last - 1)
        before = np.zeros_like(upto)
        before[1:] = upto[:-1]
        new, left = upto - before, self._left.take(which)
        if (new > left).any():
            place = place[count - before.repeat(size) <= left.repeat(size)]
        self.covered[place] = True
        self._left[which] = left - np.minimum(new, left)


def span_lengths(keys: np.ndarray, number: np.ndarray | int) -> np.ndarray:
    """Return int64, words of the ``number``-th span that a row tries; the arguments broadcast."""
    draw = to_unit_interval(random_bits(keys, LENGTH_STREAM, np.atleast_1d(number)))
    return np.searchsorted(_CUMULATIVE, draw, side="right") + 1
