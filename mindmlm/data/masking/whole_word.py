"""Whole-word masking (google-research/bert, 2019; Cui et al., 2021, for Chinese)."""

import numpy as np

from mindmlm.data.masking.base import Rows, row_budget
from mindmlm.data.masking.order import first_columns, rank_columns
from mindmlm.data.masking.words import Which


def select_whole_words(
    rows: Rows, which: Which, masked_lm_prob: float, predictions: int
) -> np.ndarray:
    """Return all tokens of words taken in random order until BERT's budget is used.

    A word that would exceed the budget is skipped and a later, shorter one may follow, as in
    google-research/bert `create_pretraining_data.py`. A word with a special token in it
    ([UNK]) is never taken. See `mindmlm.data.masking.base.Strategy`.
    """
    words, numbers = rows.words, rows.numbers(which)
    budget = row_budget(rows.lengths[which], masked_lm_prob, predictions)
    ranked = rank_columns(words.usable_starts[which], rows, which)
    word = words.at(first_columns(ranked, int(budget.max(initial=0))), numbers)
    taken, left = _fill(words.padded_sizes()[word], budget)
    # Where the words that were ordered are used up and the budget is not, all are ordered.
    short = np.flatnonzero((left > 0) & (word[:, -1] < words.number))
    chosen = np.zeros(words.number + 1, np.bool_)
    chosen[word[taken]] = True
    if len(short):
        word = words.at(first_columns(ranked[short], ranked.shape[1]), numbers[short])
        taken, _ = _fill(words.padded_sizes()[word], budget[short])
        chosen[word[taken]] = True
    return words.tokens_of(chosen, which)


def _fill(sizes: np.ndarray, budget: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Take what fits, from left to right, a size that does not fit being skipped.

    In each round all sizes up to the first that does not fit are taken at once. What did not fit
    once never will, since what is left of a budget only shrinks.

    Args:
        sizes: int64 [B, K], at least 1.
        budget: int64 [B].

    Returns:
        bool [B, K], what is taken; int64 [B], what is left of each budget.
    """
    total = np.cumsum(sizes, axis=1)
    taken = total <= budget[:, None]
    left = budget - np.where(taken, sizes, 0).sum(axis=1)
    # Not even one token more fits where nothing is left.
    rows = left.nonzero()[0]
    while True:
        fits = (sizes[rows] <= left[rows, None]) & ~taken[rows]
        again = fits.any(axis=1)
        rows, fits = rows[again], fits[again]
        if not len(rows):
            return taken, left
        total = np.cumsum(np.where(fits, sizes[rows], 0), axis=1)
        fits &= total <= left[rows, None]
        taken[rows] |= fits
        left[rows] -= np.where(fits, sizes[rows], 0).sum(axis=1)
