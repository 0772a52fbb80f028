"""Token masking that prefers rare tokens (Sanh et al., 2019: DistilBERT's `mlm_smoothing`)."""

import numpy as np

from mindmlm.data.hashing import random_bits, to_unit_interval
from mindmlm.data.masking.base import SELECTION_STREAM, Rows
from mindmlm.data.masking.words import Which


def token_weights(counts: np.ndarray, smoothing: float) -> np.ndarray:
    """Return max(count, 1) ** -smoothing of each token, float64 [V].

    As transformers-research-projects `distillation/train.py` makes `token_probs`; special tokens
    are left out by the strategy.

    Args:
        counts: int64 [V], how often each token is in the training text.
        smoothing: 0 = every token alike; DistilBERT and XLM use 0.7.
    """
    return np.maximum(counts, 1).astype(np.float64) ** -smoothing


def select_rare_tokens(
    rows: Rows, which: Which, masked_lm_prob: float, predictions: int
) -> np.ndarray:
    """Return ``min(P, ceil(masked_lm_prob * length))`` ordinary tokens of each row.

    They are drawn without replacement with chances proportional to `Rows.token_weights` (of terms:
    times their own weight), by exponential clocks (Efraimidis and Spirakis, 2006), which is what
    `torch.multinomial` does in `distillation/distiller.py`. That program draws for a whole batch;
    here each row has its own budget, so that its masks do not depend on the rows beside it.
    See `mindmlm.data.masking.base.Strategy`.
    """
    assert rows.token_weights is not None
    ordinary, weights = rows.ordinary[which], rows.token_weights[which]
    size, columns = ordinary.shape
    if rows.terms is not None:
        weights = np.where(rows.terms[which], weights * rows.term_weight, weights)
    position = np.arange(columns, dtype=np.uint64)
    bits = random_bits(rows.keys[which][:, None], SELECTION_STREAM, position)
    clock = -np.log1p(-to_unit_interval(bits)) / weights
    order = np.argsort(np.where(ordinary, clock, np.inf), axis=1, kind="stable")
    # 0.07 of 100 is 7, and 7.000000000000001 in binary.
    wanted = np.ceil(rows.lengths[which] * masked_lm_prob - 1e-9).astype(np.int64)
    budget = np.minimum(np.minimum(wanted, predictions), ordinary.sum(axis=1))
    taken = np.arange(columns) < budget[:, None]
    chosen = np.zeros((size, columns), np.bool_)
    np.put_along_axis(chosen, order, taken, axis=1)
    return chosen
