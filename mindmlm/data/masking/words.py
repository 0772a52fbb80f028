"""The words of a batch, in one flat list."""

from dataclasses import dataclass

import numpy as np

from mindmlm.data.masking.base import Rows


@dataclass(frozen=True)
class Words:
    """All words of all rows, one after the other; W of them.

    Attributes:
        first: int64 [W + 1], place (row * L + column) of each word's first token; then B * L.
        sizes: int64 [W], tokens.
        usable: bool [W], no special token and no padding in it.
        of_token: int64 [B * L], the word of each token.
        shape: (B, L).
    """

    first: np.ndarray
    sizes: np.ndarray
    usable: np.ndarray
    of_token: np.ndarray
    shape: tuple[int, int]

    def usable_starts(self) -> np.ndarray:
        """Return bool [B, L], the first tokens of usable words."""
        starts = np.zeros(self.shape[0] * self.shape[1], np.bool_)
        starts[self.first[:-1][self.usable]] = True
        return starts.reshape(self.shape)

    def usable_tokens(self) -> np.ndarray:
        """Return bool [B, L], the tokens of usable words."""
        return np.repeat(self.usable, self.sizes).reshape(self.shape)

    def runs(self) -> np.ndarray:
        """Return int64 [W]: how many usable words follow each other from here on.

        No run leaves its row: every row begins and ends with a special token.
        """
        numbers = np.arange(len(self.sizes))
        obstacle = np.where(self.usable, len(numbers), numbers)
        return np.minimum.accumulate(obstacle[::-1])[::-1] - numbers

    def counts(self) -> np.ndarray:
        """Return int64 [B], usable words of each row."""
        row = self.first[:-1][self.usable] // self.shape[1]
        return np.bincount(row, minlength=self.shape[0])


def group_words(rows: Rows) -> Words:
    """Return the words of rows; a row's first column begins a word."""
    first = np.flatnonzero(rows.word_starts)
    sizes = np.diff(first, append=rows.word_starts.size)
    of_token = np.repeat(np.arange(len(first)), sizes)
    usable = np.ones(len(first), np.bool_)
    usable[of_token[~rows.ordinary.ravel()]] = False
    return Words(
        first=np.append(first, rows.word_starts.size),
        sizes=sizes,
        usable=usable,
        of_token=of_token,
        shape=(rows.word_starts.shape[0], rows.word_starts.shape[1]),
    )
