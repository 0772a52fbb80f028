"""Whole-word masking (google-research/bert, 2019; Cui et al., 2021, for Chinese)."""

import numpy as np

from mindmlm.data.masking.base import Rows, row_budget
from mindmlm.data.masking.order import chosen_columns, rank_columns, walk
from mindmlm.data.masking.words import group_words


def select_whole_words(rows: Rows, masked_lm_prob: float, predictions: int) -> np.ndarray:
    """Return all tokens of words taken in random order until BERT's budget is used.

    A word that would exceed the budget is skipped and a later, shorter one may follow, as in
    google-research/bert `create_pretraining_data.py`. A word with a special token in it
    ([UNK]) is never taken. See `mindmlm.data.masking.base.Strategy`.
    """
    words = group_words(rows)
    columns = words.shape[1]
    left = row_budget(rows.lengths, masked_lm_prob, predictions)
    taken = np.zeros(len(words.sizes), np.bool_)
    for row, column in walk(rank_columns(words.usable_starts(), rows), left, predictions):
        word = words.of_token[row * columns + column]
        sizes = words.sizes[word]
        fits = sizes <= left[row]
        taken[word[fits]] = True
        left[row] -= np.where(fits, sizes, 0)
    return chosen_columns(np.repeat(taken, words.sizes).reshape(words.shape), predictions)
