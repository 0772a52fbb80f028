"""Token masking: every token has the same chance (google-research/bert)."""

import numpy as np

from mindmlm.data.masking.base import Rows, row_budget
from mindmlm.data.masking.order import decode_columns, rank_columns, smallest


def select_tokens(rows: Rows, masked_lm_prob: float, predictions: int) -> np.ndarray:
    """Return the ordinary tokens of each row with the smallest random bits.

    The budget is BERT's, see `row_budget`; `Strategy` explains arguments and result.
    """
    columns = rows.ordinary.shape[1]
    budget = row_budget(rows.lengths, masked_lm_prob, predictions)
    chosen = decode_columns(smallest(rank_columns(rows.ordinary, rows), predictions), columns)
    chosen[np.arange(chosen.shape[1]) >= budget[:, None]] = columns
    chosen.sort(axis=1)
    return chosen
