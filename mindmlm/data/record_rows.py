"""Rows read from records, brought to one shape and checked."""

from dataclasses import dataclass, replace

import numpy as np

from mindmlm.data.hashing import mix64
from mindmlm.data.records.rows import STATIC, Columns, Ragged, count_rows
from mindmlm.errors import DataError

_LABELS = "next_sentence_labels"
_PREDICTION_FIELDS = ("masked_lm_positions", "masked_lm_ids", "masked_lm_weights")


@dataclass(frozen=True)
class OriginalRows:
    """Rows as they were before masking, without padding.

    Attributes:
        tokens: int64 [n], `[CLS] ... [SEP]` of each row, one row after the other.
        word_starts: bool [n]; None = unknown.
        second_segment: bool [n], tokens of the second segment.
        ends: int64 [rows], where each row ends.
        labels: int64 [rows], 1 = the second segment does not follow the first; None = unknown.
    """

    tokens: np.ndarray
    word_starts: np.ndarray | None
    second_segment: np.ndarray
    ends: np.ndarray
    labels: np.ndarray | None = None

    def hashes(self) -> np.ndarray:
        """Return uint64 [rows] that depend on the tokens of each row only."""
        begins = np.concatenate([[0], self.ends[:-1]])
        place = np.arange(len(self.tokens)) - np.repeat(begins, self.ends - begins)
        mixed = mix64(self.tokens.astype(np.uint64) + (place.astype(np.uint64) << np.uint64(32)))
        return mix64(np.add.reduceat(mixed, begins)) if len(begins) else mixed


def static_matrices(columns: Columns, place: str) -> dict[str, np.ndarray]:
    """Return the columns of masked rows as matrices [rows, L] and [rows, P].

    Raises:
        DataError: rows of different lengths, or positions outside of the row.
    """
    matrices = {}
    for name, column in columns.items():
        widths = np.unique(column.lengths)
        if len(widths) != 1:
            raise DataError(f"{place}: {name} has {widths[0]} to {widths[-1]} values a row")
        matrices[name] = column.values.reshape(-1, int(widths[0]))
    length = matrices["input_ids"].shape[1]
    predictions = matrices["masked_lm_ids"].shape[1]
    for name in ("input_mask", "segment_ids"):
        _expect_width(matrices, name, length, place)
    for name in _PREDICTION_FIELDS:
        _expect_width(matrices, name, predictions, place)
    positions = matrices["masked_lm_positions"]
    if positions.size and not 0 <= positions.min() <= positions.max() < length:
        raise DataError(f"{place}: masked_lm_positions outside of the {length} tokens of a row")
    return matrices


def originals(form: str, columns: Columns, place: str) -> OriginalRows:
    """Return the rows before masking.

    Raises:
        DataError: see `static_matrices`; columns of different lengths.
    """
    labels = None
    if _LABELS in columns:
        labels = columns[_LABELS].values
        if len(labels) != count_rows(columns):
            raise DataError(f"{place}: {_LABELS} has {len(labels)} values for its rows")
        if labels.size and not 0 <= labels.min() <= labels.max() <= 1:
            raise DataError(f"{place}: {_LABELS} other than 0 and 1")
    if form == STATIC:
        return replace(_unmasked(static_matrices(columns, place)), labels=labels)
    tokens, starts, segments = (columns[name] for name in ("tokens", "word_starts", "segment_ids"))
    for column in (starts, segments):
        if not np.array_equal(column.lengths, tokens.lengths):
            raise DataError(f"{place}: tokens, word_starts and segment_ids differ in length")
    if (tokens.lengths < 3).any():
        raise DataError(f"{place}: a row has fewer than 3 tokens")
    return OriginalRows(
        tokens.values, starts.values > 0, segments.values > 0, np.cumsum(tokens.lengths), labels
    )


def select(columns: Columns, chosen: np.ndarray) -> Columns:
    """Return the rows where bool [rows] ``chosen`` is True."""
    return {
        name: Ragged(column.values[np.repeat(chosen, column.lengths)], column.lengths[chosen])
        for name, column in columns.items()
    }


def _unmasked(matrices: dict[str, np.ndarray]) -> OriginalRows:
    ids = matrices["input_ids"].copy()
    row, slot = np.nonzero(matrices["masked_lm_weights"] > 0)
    ids[row, matrices["masked_lm_positions"][row, slot]] = matrices["masked_lm_ids"][row, slot]
    inside = matrices["input_mask"] > 0
    return OriginalRows(
        ids[inside],
        None,
        matrices["segment_ids"][inside] > 0,
        np.cumsum(inside.sum(axis=1)),
    )


def _expect_width(matrices: dict[str, np.ndarray], name: str, width: int, place: str) -> None:
    if matrices[name].shape[1] != width:
        raise DataError(f"{place}: {name} has {matrices[name].shape[1]} values a row, not {width}")
