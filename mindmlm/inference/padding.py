"""Rows of token ids for models that read texts of different lengths."""

from collections.abc import Sequence

import numpy as np

_LENGTH_STEP = 32


def padded(
    rows: Sequence[np.ndarray], pad_id: int, max_length: int
) -> tuple[np.ndarray, np.ndarray]:
    """Equal lengths, rounded up so that few shapes are compiled, but at most `max_length`.

    Returns:
        ids and mask (1 = token), int32 [rows, length].
    """
    longest = max(len(row) for row in rows)
    length = min(max_length, -(-longest // _LENGTH_STEP) * _LENGTH_STEP)
    ids = np.full((len(rows), length), pad_id, np.int32)
    mask = np.zeros((len(rows), length), np.int32)
    for number, row in enumerate(rows):
        ids[number, : len(row)] = row
        mask[number, : len(row)] = 1
    return ids, mask
