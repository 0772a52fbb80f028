"""Random orders of columns."""

import numpy as np

from mindmlm.data.hashing import random_bits, to_unit_interval
from mindmlm.data.masking.base import SELECTION_STREAM, Rows
from mindmlm.data.masking.words import Which


def rank_columns(eligible: np.ndarray, rows: Rows, which: Which) -> np.ndarray:
    """Return uint64 [b, L] whose ascending order is a random order of the eligible columns.

    The low bits hold the column, so that sorting values needs no index array and no ties occur;
    columns that are not eligible come last, as the largest value. Terms are drawn with their
    weight, without replacement (Efraimidis and Spirakis, 2006).

    Args:
        eligible: bool [b, L].
        rows: all rows.
        which: those that ``eligible`` is about.
    """
    columns = eligible.shape[1]
    position = np.arange(columns, dtype=np.uint64)
    low_bits = _column_mask(columns)
    bits = random_bits(rows.keys[which][:, None], SELECTION_STREAM, position)
    if rows.terms is not None:
        _prefer(bits, rows.terms[which] & eligible, rows.term_weight)
    bits &= ~low_bits
    bits |= position
    # All bits set where a column is not eligible.
    bits |= eligible.astype(np.uint64) - np.uint64(1)
    return bits


def _prefer(bits: np.ndarray, preferred: np.ndarray, weight: float) -> None:
    """Move the preferred columns to the front: an exponential clock that runs ``weight`` times."""
    clock = np.log1p(-to_unit_interval(bits[preferred])) / weight
    bits[preferred] = (-np.expm1(clock) * 2.0**53).astype(np.uint64) << np.uint64(11)


def first_columns(ranked: np.ndarray, count: int) -> np.ndarray:
    """Return int64 [B, K], the first eligible columns of each row in their random order.

    Args:
        ranked: uint64 [B, L], see `rank_columns`.
        count: how many are wanted, K; fewer where no row has so many. After the last one of a row
            comes L.
    """
    columns = ranked.shape[1]
    decoded = (_smallest(ranked, count) & _column_mask(columns)).astype(np.int64)
    return np.minimum(decoded, columns, out=decoded)


def _column_mask(columns: int) -> np.uint64:
    # One value more than there are columns, so that "not eligible" (all bits set) is no column.
    return np.uint64((1 << int(columns).bit_length()) - 1)


def _smallest(values: np.ndarray, count: int) -> np.ndarray:
    """Return the ``count`` smallest values of each row, ascending."""
    if 0 < count < values.shape[1]:
        values = np.partition(values, count - 1, axis=1)
    found = values[:, :count].copy()
    found.sort(axis=1)
    return found
