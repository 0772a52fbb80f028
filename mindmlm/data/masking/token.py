"""Token masking: every token has the same chance (google-research/bert)."""

import numpy as np

from mindmlm.data.masking.base import Rows, row_budget
from mindmlm.data.masking.order import first_columns, rank_columns
from mindmlm.data.masking.words import Which


def select_tokens(rows: Rows, which: Which, masked_lm_prob: float, predictions: int) -> np.ndarray:
    """Return the ordinary tokens of each row with the smallest random bits.

    The budget is BERT's, see `row_budget`; `Strategy` explains arguments and result.
    """
    ordinary = rows.ordinary[which]
    size, columns = ordinary.shape
    budget = row_budget(rows.lengths[which], masked_lm_prob, predictions)
    most = int(budget.max(initial=0))
    order = first_columns(rank_columns(ordinary, rows, which), most)[:, :most]
    place = order + np.arange(size)[:, None] * columns
    place[(order == columns) | (np.arange(order.shape[1]) >= budget[:, None])] = size * columns
    chosen = np.zeros(size * columns + 1, np.bool_)
    chosen[place.ravel()] = True
    return chosen[:-1].reshape(size, columns)
