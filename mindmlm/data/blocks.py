"""Lines of tokens cut or packed into samples."""

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np

from mindmlm.data.store import TokenStoreWriter


class SampleMaker(Protocol):
    """Turns documents into samples of at most a fixed number of tokens."""

    def add(self, tokens: np.ndarray, word_starts: np.ndarray, lengths: Sequence[int]) -> None:
        """Take one document: its tokens [n], word starts [n] and the tokens of each line."""

    def finish(self) -> int:
        """Write what is still held; return the tokens that are left out."""


class LineSamples:
    """Every line is a sample; a longer one is split, at the beginning of a word if possible.

    Args:
        writer: takes the samples.
        block: most tokens of a sample (without [CLS] and [SEP]).
    """

    def __init__(self, writer: TokenStoreWriter, block: int) -> None:
        self._writer = writer
        self._block = block

    def add(self, tokens: np.ndarray, word_starts: np.ndarray, lengths: Sequence[int]) -> None:
        """Write the samples of one document; lines without tokens give none."""
        begin = 0
        for length in lengths:
            for first, last in cut_blocks(word_starts, begin, begin + length, self._block):
                self._writer.append(tokens[first:last], _from_start(word_starts[first:last]))
            begin += length

    def finish(self) -> int:
        """Nothing is held back or left out."""
        return 0


def cut_blocks(
    word_starts: np.ndarray, begin: int, end: int, block: int
) -> Iterator[tuple[int, int]]:
    """Yield the borders of blocks of at most ``block`` tokens.

    A block ends before the beginning of a word where there is one in its second half.
    """
    while begin < end:
        cut = block_end(word_starts, begin, end, block)
        yield begin, cut
        begin = cut


def block_end(word_starts: np.ndarray, begin: int, end: int, block: int) -> int:
    """Return where a block of at most ``block`` tokens that begins at ``begin`` ends."""
    limit = begin + block
    if end <= limit:
        return end
    # Not before the middle: one very long word must not leave tiny samples behind.
    earliest = begin + (block + 1) // 2
    borders = np.flatnonzero(word_starts[earliest : limit + 1])
    return earliest + int(borders[-1]) if len(borders) else limit


class PackedSamples:
    """Documents joined with [SEP] between them and cut into full blocks; the last one may be short.

    Args:
        writer: takes the samples.
        block: tokens of a sample (without [CLS] and the last [SEP]).
        sep_id: what stands between documents.
    """

    def __init__(self, writer: TokenStoreWriter, block: int, sep_id: int) -> None:
        self._writer = writer
        self._block = block
        self._separator = np.array([sep_id], np.int32)
        self._tokens = np.zeros(0, np.int32)
        self._word_starts = np.zeros(0, np.bool_)
        self._any = False

    def add(self, tokens: np.ndarray, word_starts: np.ndarray, lengths: Sequence[int]) -> None:
        """Append one document and write the blocks that are full."""
        if not len(tokens):
            return
        between = self._separator[: int(self._any)]
        self._any = True
        self._tokens = np.concatenate([self._tokens, between, tokens])
        self._word_starts = np.concatenate(
            [self._word_starts, np.ones(len(between), np.bool_), word_starts]
        )
        full = len(self._tokens) // self._block * self._block
        self._write(full)
        self._tokens, self._word_starts = self._tokens[full:], self._word_starts[full:]

    def finish(self) -> int:
        """Write the last, shorter block; nothing is left out."""
        self._write(len(self._tokens))
        self._tokens, self._word_starts = self._tokens[:0], self._word_starts[:0]
        return 0

    def _write(self, count: int) -> None:
        for begin in range(0, count, self._block):
            end = min(begin + self._block, count)
            self._writer.append(self._tokens[begin:end], _from_start(self._word_starts[begin:end]))


class FullSentenceSamples:
    """Whole lines of one or several documents, as many as fit a row.

    "FULL-SENTENCES" of RoBERTa (Liu et al., 2019, section 4.2): a row goes on with the lines of the
    next document behind a [SEP]. A line longer than a row is split, at the beginning of a word if
    possible.

    Args:
        writer: takes the samples.
        block: most tokens of a sample (without [CLS] and the last [SEP]).
        sep_id: what stands between documents.
    """

    def __init__(self, writer: TokenStoreWriter, block: int, sep_id: int) -> None:
        self._writer = writer
        self._block = block
        self._separator = np.array([sep_id], np.int32)
        self._tokens: list[np.ndarray] = []
        self._word_starts: list[np.ndarray] = []
        self._size = 0

    def add(self, tokens: np.ndarray, word_starts: np.ndarray, lengths: Sequence[int]) -> None:
        """Append the lines of one document and write the rows that are full."""
        begin, is_first = 0, True
        for length in lengths:
            for first, last in cut_blocks(word_starts, begin, begin + length, self._block):
                self._place(tokens[first:last], _from_start(word_starts[first:last]), is_first)
                is_first = False
            begin += length

    def finish(self) -> int:
        """Write the last row; nothing is left out."""
        self._write()
        return 0

    def _place(self, tokens: np.ndarray, word_starts: np.ndarray, begins_document: bool) -> None:
        between = self._separator[: int(begins_document)]
        if self._size + len(between) + len(tokens) > self._block:
            self._write()
        if self._size and len(between):
            self._append(between, np.ones(1, np.bool_))
        self._append(tokens, word_starts)

    def _append(self, tokens: np.ndarray, word_starts: np.ndarray) -> None:
        self._tokens.append(tokens.copy())
        self._word_starts.append(word_starts)
        self._size += len(tokens)

    def _write(self) -> None:
        if self._size:
            self._writer.append(np.concatenate(self._tokens), np.concatenate(self._word_starts))
        self._tokens, self._word_starts, self._size = [], [], 0


def _from_start(word_starts: np.ndarray) -> np.ndarray:
    """Return a copy in which the first token begins a word: its beginning is in another sample."""
    starts = word_starts.copy()
    starts[:1] = True
    return starts
