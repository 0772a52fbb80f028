"""The columns of prepared rows."""

from dataclasses import dataclass

import numpy as np

STATIC, DYNAMIC, CAUSAL = "static", "dynamic", "causal"

# Google's seven fields (google-research/bert, create_pretraining_data.py), and ours for rows that
# are masked during training: tokens with their special ones, without padding. GPT-2's rows hold a
# block of tokens (MindFormers r0.3, wikitext2_data_process.py).
FIELDS: dict[str, dict[str, str]] = {
    STATIC: {
        "input_ids": "int64",
        "input_mask": "int64",
        "segment_ids": "int64",
        "masked_lm_positions": "int64",
        "masked_lm_ids": "int64",
        "masked_lm_weights": "float32",
        "next_sentence_labels": "int64",
    },
    DYNAMIC: {
        "tokens": "int64",
        "word_starts": "int64",
        "segment_ids": "int64",
        "next_sentence_labels": "int64",
    },
    CAUSAL: {"input_ids": "int32"},
}


@dataclass(frozen=True)
class Ragged:
    """One column of some rows.

    Attributes:
        values: integers or float32 [sum of lengths], row after row.
        lengths: int64 [rows].
    """

    values: np.ndarray
    lengths: np.ndarray

    @classmethod
    def of_matrix(cls, matrix: np.ndarray) -> "Ragged":
        """Wrap rows of one length, [rows, width]."""
        return cls(matrix.reshape(-1), np.full(len(matrix), matrix.shape[1], np.int64))

    def split(self) -> list[np.ndarray]:
        """Return the values of each row."""
        return np.split(self.values, np.cumsum(self.lengths)[:-1]) if len(self.lengths) else []


Columns = dict[str, Ragged]


def count_rows(columns: Columns) -> int:
    """Return the number of rows."""
    return len(next(iter(columns.values())).lengths)


def form_of(names: set[str]) -> str | None:
    """Return which form rows with these columns have; None = no known one."""
    for form, fields in FIELDS.items():
        needed = set(fields) - {"next_sentence_labels"}
        if needed <= names:
            return form
    return None
