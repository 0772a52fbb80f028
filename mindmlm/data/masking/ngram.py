"""Word n-gram masking (Cui et al., 2020, MacBERT)."""

import numpy as np

from mindmlm.data.hashing import random_bits, to_unit_interval
from mindmlm.data.masking.base import LENGTH_STREAM, Rows, row_budget
from mindmlm.data.masking.order import chosen_columns, rank_columns, walk
from mindmlm.data.masking.words import group_words

NGRAM_PROBABILITIES = np.array([0.4, 0.3, 0.2, 0.1])
_CUMULATIVE = np.cumsum(NGRAM_PROBABILITIES)[:-1]
_MAX_NGRAM = len(NGRAM_PROBABILITIES)
_OFFSETS = np.arange(_MAX_NGRAM)


def select_ngrams(rows: Rows, masked_lm_prob: float, predictions: int) -> np.ndarray:
    """Return n-grams of 1 to 4 whole words, drawn with 40, 30, 20 and 10 %.

    The budget counts words: ``max(1, round(n * masked_lm_prob))``, n = words without special
    tokens; of tokens there are at most P. The n of each n-gram is drawn first and kept until
    a beginning is found where it fits, so that places do not bend the shares; it is cut to what
    is left of the budget and of P, and before a special token. A beginning whose n-gram would
    overlap an earlier one is passed over.
    See `mindmlm.data.masking.base.Strategy`.
    """
    words = group_words(rows)
    runs = words.runs()
    columns = words.shape[1]
    taken = np.zeros(len(words.sizes) + _MAX_NGRAM, np.bool_)
    words_left = row_budget(words.counts(), masked_lm_prob, columns)
    tokens_left = np.full(len(words_left), predictions)
    drawn = np.zeros(len(words_left), np.int64)
    ranked = rank_columns(words.usable_starts(), rows)
    most = int(words_left.max(initial=0))
    lengths = ngram_lengths(rows.keys[:, None], np.arange(most))
    for row, column in walk(ranked, words_left, most):
        word = words.of_token[row * columns + column]
        length = np.minimum(np.minimum(lengths[row, drawn[row]], runs[word]), words_left[row])
        size = words.first[word + length] - words.first[word]
        over = np.flatnonzero(size > tokens_left[row])
        if len(over):
            length[over], size[over] = _shorten(words.first, word[over], tokens_left[row[over]])
        members = word[:, None] + _OFFSETS
        inside = length[:, None] > _OFFSETS
        fits = (length > 0) & ~(inside & taken[members]).any(axis=1)
        row, length = row[fits], length[fits]
        taken[members[fits][inside[fits]]] = True
        drawn[row] += 1
        tokens_left[row] -= size[fits]
        words_left[row] = np.where(tokens_left[row] > 0, words_left[row] - length, 0)
    in_ngram = np.repeat(taken[: len(words.sizes)], words.sizes)
    return chosen_columns(in_ngram.reshape(words.shape), predictions)


def ngram_lengths(keys: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Return int64, words of n-gram number ``numbers`` of a row; the arguments broadcast."""
    draw = to_unit_interval(random_bits(keys, LENGTH_STREAM, numbers))
    return np.searchsorted(_CUMULATIVE, draw, side="right") + 1


def _shorten(
    first: np.ndarray, word: np.ndarray, tokens_left: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return words and tokens of n-grams that are too long, cut to ``tokens_left``."""
    ends = np.minimum(word[:, None] + _OFFSETS + 1, len(first) - 1)
    sizes = first[ends] - first[word, None]
    inside = sizes <= tokens_left[:, None]
    return inside.sum(axis=1), np.where(inside, sizes, 0).max(axis=1)
