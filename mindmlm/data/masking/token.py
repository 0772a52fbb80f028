"""Token masking: every token has the same chance (google-research/bert)."""

import numpy as np

from mindmlm.data.hashing import random_bits
from mindmlm.data.masking.base import SELECTION_STREAM


def select_tokens(
    word_starts: np.ndarray,
    candidates: np.ndarray,
    budget: np.ndarray,
    keys: np.ndarray,
    predictions: int,
) -> np.ndarray:
    """Return the ``budget`` candidates of each row with the smallest random bits.

    See `mindmlm.data.masking.base.Strategy` for arguments and result; ``word_starts`` is not
    looked at.
    """
    columns = candidates.shape[1]
    ranked = rank_columns(candidates, keys)
    if predictions < columns:
        ranked = np.partition(ranked, predictions - 1, axis=1)[:, :predictions]
    ranked = np.sort(ranked, axis=1)
    chosen = decode_columns(ranked, columns)
    chosen[np.arange(chosen.shape[1]) >= budget[:, None]] = columns
    chosen.sort(axis=1)
    return chosen


def rank_columns(eligible: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Return uint64 [B, L] whose ascending order is a random order of the eligible columns.

    The low bits hold the column, so that sorting values needs no index array and no ties occur;
    columns that are not eligible come last, as the largest value.
    """
    columns = eligible.shape[1]
    position = np.arange(columns, dtype=np.uint64)
    low_bits = _column_mask(columns)
    bits = random_bits(keys[:, None], SELECTION_STREAM, position)
    ranked = (bits & ~low_bits) | position
    ranked[~eligible] = np.iinfo(np.uint64).max
    return ranked


def decode_columns(ranked: np.ndarray, columns: int) -> np.ndarray:
    """Return int64 columns out of `rank_columns`' values, ``columns`` where not eligible."""
    decoded = (ranked & _column_mask(columns)).astype(np.int64)
    return np.minimum(decoded, columns, out=decoded)


def _column_mask(columns: int) -> np.uint64:
    # One value more than there are columns, so that "not eligible" (all bits set) is no column.
    return np.uint64((1 << int(columns).bit_length()) - 1)
