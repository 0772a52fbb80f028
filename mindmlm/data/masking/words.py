"""The words of a batch, in one flat list."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

# Some rows of a batch: numbers of rows, int64 [b], or a slice of them.
Which = np.ndarray | slice
ALL_ROWS = slice(None)
_LARGEST = np.iinfo(np.int64).max >> 16


@dataclass(frozen=True)
class Words:
    """All words of all rows, one after the other; W of them.

    Attributes:
        first: int64 [W + 1], place (row * L + column) of each word's first token; then B * L.
        sizes: int64 [W], tokens.
        usable: bool [W], no special token and no padding in it.
        of_token: int64 [B * L + 1], the word of each token; then W.
        starts: bool [B, L], the first token of each word.
    """

    first: np.ndarray
    sizes: np.ndarray
    usable: np.ndarray
    of_token: np.ndarray
    starts: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """(B, L)."""
        return self.starts.shape[0], self.starts.shape[1]

    @property
    def number(self) -> int:
        """W."""
        return len(self.sizes)

    @cached_property
    def _obstacles(self) -> np.ndarray:
        """int64, ascending: the words that are not usable."""
        return np.flatnonzero(~self.usable)

    @cached_property
    def usable_starts(self) -> np.ndarray:
        """bool [B, L], the first tokens of usable words."""
        starts = self.starts.copy()
        starts.ravel()[self.first.take(self._obstacles)] = False
        return starts

    @cached_property
    def usable_tokens(self) -> np.ndarray:
        """bool [B, L], the tokens of usable words."""
        return self.tokens_of(self.usable)

    def at(self, columns: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return int64 [b, K], the words at some columns; W for a column L ("none").

        Args:
            columns: int64 [b, K].
            rows: int64 [b], the rows they are in.
        """
        size, length = self.shape
        place = columns + rows[:, None] * length
        place[columns == length] = size * length
        return self.of_token.take(place)

    def padded_sizes(self) -> np.ndarray:
        """Return int64 [W + 1], the sizes; more than any budget for W."""
        return np.concatenate([self.sizes, [_LARGEST]])

    @cached_property
    def runs(self) -> np.ndarray:
        """int64 [W + 1]: how many usable words follow each other from here on; 0 for W.

        No run leaves its row: every row begins and ends with a special token.
        """
        obstacles = np.concatenate([[-1], self._obstacles, [self.number]])
        next_one = np.repeat(obstacles[1:], obstacles[1:] - obstacles[:-1])
        next_one -= np.arange(self.number + 1)
        return next_one

    def tokens_of(self, chosen: np.ndarray, which: Which = ALL_ROWS) -> np.ndarray:
        """Return bool [b, L], the tokens of chosen words (bool, at least [W]) in some rows."""
        return chosen.take(self.of_token[:-1].reshape(self.shape)[which])


def group_words(word_starts: np.ndarray, ordinary: np.ndarray) -> Words:
    """Return the words of rows; a row's first column begins a word.

    Args:
        word_starts, ordinary: bool [B, L], see `mindmlm.data.masking.base.Rows`.
    """
    starts = word_starts.ravel()
    first = np.concatenate([starts.nonzero()[0], [starts.size]])
    of_token = np.empty(starts.size + 1, np.int64)
    np.cumsum(starts, out=of_token[:-1])
    of_token -= 1
    of_token[-1] = len(first) - 1
    usable = np.ones(len(first) - 1, np.bool_)
    usable[of_token.take(np.flatnonzero(~ordinary))] = False
    return Words(
        first=first,
        sizes=first[1:] - first[:-1],
        usable=usable,
        of_token=of_token,
        starts=word_starts,
    )
