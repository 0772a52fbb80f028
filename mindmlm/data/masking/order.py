"""Random orders of columns, and the walk through them that all rows take together."""

from collections.abc import Iterator

import numpy as np

from mindmlm.data.hashing import random_bits, to_unit_interval
from mindmlm.data.masking.base import SELECTION_STREAM, Rows

_SPARE_RANKS = 8


def rank_columns(eligible: np.ndarray, rows: Rows) -> np.ndarray:
    """Return uint64 [B, L] whose ascending order is a random order of the eligible columns.

    The low bits hold the column, so that sorting values needs no index array and no ties occur;
    columns that are not eligible come last, as the largest value. Terms are drawn with their
    weight, without replacement (Efraimidis and Spirakis, 2006).
    """
    columns = eligible.shape[1]
    position = np.arange(columns, dtype=np.uint64)
    low_bits = _column_mask(columns)
    bits = random_bits(rows.keys[:, None], SELECTION_STREAM, position)
    if rows.terms is not None:
        _prefer(bits, rows.terms & eligible, rows.term_weight)
    bits &= ~low_bits
    bits |= position
    bits[~eligible] = np.iinfo(np.uint64).max
    return bits


def _prefer(bits: np.ndarray, preferred: np.ndarray, weight: float) -> None:
    """Move the preferred columns to the front: an exponential clock that runs ``weight`` times."""
    clock = np.log1p(-to_unit_interval(bits[preferred])) / weight
    bits[preferred] = (-np.expm1(clock) * 2.0**53).astype(np.uint64) << np.uint64(11)


def decode_columns(ranked: np.ndarray, columns: int) -> np.ndarray:
    """Return int64 columns out of `rank_columns`' values, ``columns`` where not eligible."""
    decoded = (ranked & _column_mask(columns)).astype(np.int64)
    return np.minimum(decoded, columns, out=decoded)


def _column_mask(columns: int) -> np.uint64:
    # One value more than there are columns, so that "not eligible" (all bits set) is no column.
    return np.uint64((1 << int(columns).bit_length()) - 1)


def smallest(ranked: np.ndarray, count: int) -> np.ndarray:
    """Return the ``count`` smallest values of each row, ascending."""
    if count < ranked.shape[1]:
        ranked = np.partition(ranked, count - 1, axis=1)[:, :count]
    return np.sort(ranked, axis=1)


def walk(
    ranked: np.ndarray, left: np.ndarray, expected: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (rows, columns): the next column of every row whose budget is not used up.

    Args:
        ranked: see `rank_columns`.
        left: int64 [B], what is left of each row's budget; the caller lowers it between steps.
        expected: ranks that most rows need; further ones are sorted only for rows that ask.
    """
    columns = ranked.shape[1]
    sorted_ranks = min(columns, expected + _SPARE_RANKS)
    order = decode_columns(smallest(ranked, sorted_ranks), columns)
    rows = places = np.arange(len(ranked))
    for rank in range(columns):
        if rank == sorted_ranks:
            order = decode_columns(np.sort(ranked[rows], axis=1), columns)
            places = np.arange(len(rows))
        column = order[places, rank]
        goes_on = (left[rows] > 0) & (column < columns)
        if not goes_on.all():
            rows, places, column = rows[goes_on], places[goes_on], column[goes_on]
            if not len(rows):
                return
        yield rows, column


def chosen_columns(taken: np.ndarray, predictions: int) -> np.ndarray:
    """Return int64 [B, P]: the columns that are True, ascending, then L; at most P a row are."""
    rows, columns = taken.shape
    chosen = np.full((rows, predictions), columns, np.int64)
    row, column = np.nonzero(taken)
    first = np.searchsorted(row, np.arange(rows))
    chosen[row, np.arange(len(row)) - first[row]] = column
    return chosen
