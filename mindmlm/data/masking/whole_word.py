"""Whole-word masking (google-research/bert, 2019; Cui et al., 2021, for Chinese)."""

import numpy as np

from mindmlm.data.masking.token import decode_columns, rank_columns


def select_whole_words(
    word_starts: np.ndarray,
    candidates: np.ndarray,
    budget: np.ndarray,
    keys: np.ndarray,
    predictions: int,
) -> np.ndarray:
    """Return all tokens of words taken in random order until the budget is used.

    A word that would exceed the budget is skipped and a later, shorter one may follow, as in
    google-research/bert `create_pretraining_data.py`. A word with a special token in it
    ([UNK]) is never taken. See `mindmlm.data.masking.base.Strategy`.
    """
    rows, columns = candidates.shape
    word_of = np.cumsum(word_starts, axis=1) - 1
    flat_word = (word_of + np.arange(rows)[:, None] * columns).ravel()
    sizes = np.bincount(flat_word, minlength=rows * columns)
    usable = np.bincount(flat_word, candidates.ravel(), minlength=rows * columns) == sizes
    eligible = word_starts & usable[flat_word].reshape(rows, columns)
    order = decode_columns(np.sort(rank_columns(eligible, keys), axis=1), columns)
    taken = _take_words(order, flat_word, sizes, budget, columns)
    chosen = np.where(taken[flat_word].reshape(rows, columns), np.arange(columns), columns)
    if predictions < columns:
        chosen = np.partition(chosen, predictions - 1, axis=1)[:, :predictions]
    return np.sort(chosen, axis=1)


def _take_words(
    order: np.ndarray, flat_word: np.ndarray, sizes: np.ndarray, budget: np.ndarray, columns: int
) -> np.ndarray:
    """Walk the words of all rows in their order; return bool [B * L]: word is taken."""
    rows = len(order)
    exists = order < columns
    words = flat_word[np.minimum(order, columns - 1) + np.arange(rows)[:, None] * columns]
    word_sizes = np.where(exists, sizes[words], columns + 1)
    taken = np.zeros(rows * columns, np.bool_)
    left = budget.copy()
    for rank in range(int(exists.sum(axis=1).max(initial=0))):
        fits = word_sizes[:, rank] <= left
        taken[words[fits, rank]] = True
        left -= np.where(fits, word_sizes[:, rank], 0)
        if not left.any():
            break
    return taken
