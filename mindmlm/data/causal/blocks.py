"""Documents cut into the samples of a causal language model."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from mindmlm.data.blocks import SampleMaker
from mindmlm.data.store import TokenStoreWriter
from mindmlm.data.text_size import TextCounter
from mindmlm.tokenizers.gpt2 import GPT2Tokenizer


class SampleWriter(Protocol):
    """Takes samples one by one."""

    def append(self, tokens: np.ndarray) -> None:
        """Take one sample, int32 [n]."""


class StreamBlocks:
    """All documents as one stream of tokens, cut into blocks.

    The stream begins with the end token, and every document is followed by one. A block holds
    ``width + 1`` tokens and begins with the last token of the block before, so that every token of
    every document, and its end, is predicted exactly once.

    Args:
        writer: takes the blocks.
        width: tokens of a row that the model reads, at least 1.
        end_id: ends a document.
        keep_rest: the stream's last part that fills no block is a sample too. Without it that part
            is left out, unless it is all there is.
    """

    def __init__(self, writer: SampleWriter, width: int, end_id: int, keep_rest: bool) -> None:
        self._writer = writer
        self._width = width
        self._end = np.array([end_id], np.int32)
        self._keep_rest = keep_rest
        self._held = self._end
        self._any = False

    def add(self, tokens: np.ndarray, word_starts: np.ndarray, lengths: Sequence[int]) -> None:
        """Append one document and write the blocks that are full."""
        stream = np.concatenate([self._held, tokens, self._end])
        full = (len(stream) - 1) // self._width
        for number in range(full):
            begin = number * self._width
            self._writer.append(stream[begin : begin + self._width + 1])
        self._any = self._any or full > 0
        self._held = stream[full * self._width :].copy()

    def finish(self) -> int:
        """Write the rest or leave it out; return the predictions that are left out."""
        rest = len(self._held) - 1
        if rest and (self._keep_rest or not self._any):
            self._writer.append(self._held)
            rest = 0
        self._held = self._end
        return rest


class DocumentRows:
    """Every document begins a row of its own; a longer one goes on in further rows.

    Args:
        writer: takes the rows, at most ``width + 1`` tokens each.
        width: tokens of a row that the model reads, at least 1.
        end_id: stands before and behind each document.
    """

    def __init__(self, writer: SampleWriter, width: int, end_id: int) -> None:
        self._writer = writer
        self._width = width
        self._end = np.array([end_id], np.int32)

    def add(self, tokens: np.ndarray, word_starts: np.ndarray, lengths: Sequence[int]) -> None:
        """Write the rows of one document."""
        document = np.concatenate([self._end, tokens, self._end])
        for begin in range(0, len(document) - 1, self._width):
            self._writer.append(document[begin : begin + self._width + 1])

    def finish(self) -> int:
        """Nothing is held back or left out."""
        return 0


class CountedSamples:
    """Samples of text for evaluation, whose words and bytes are noted in the store.

    Args:
        maker: cuts the documents.
        writer: of the store.
        tokenizer: of the documents.
    """

    def __init__(
        self, maker: SampleMaker, writer: TokenStoreWriter, tokenizer: GPT2Tokenizer
    ) -> None:
        self._maker = maker
        self._writer = writer
        self._counter = TextCounter(tokenizer)
        self._end = np.array([tokenizer.end_id], np.int32)

    def add(self, tokens: np.ndarray, word_starts: np.ndarray, lengths: Sequence[int]) -> None:
        """Count one document and pass it on."""
        self._counter.add(np.concatenate([tokens, self._end]))
        self._maker.add(tokens, word_starts, lengths)

    def finish(self) -> int:
        """Note the counts and finish what cuts the documents."""
        self._writer.text = self._counter.size()
        return self._maker.finish()


def causal_samples(
    writer: SampleWriter, sample_mode: str, width: int, end_id: int, keep_rest: bool
) -> SampleMaker:
    """Return what cuts documents: `StreamBlocks` for "packed", `DocumentRows` for "line"."""
    if sample_mode == "packed":
        return StreamBlocks(writer, width, end_id, keep_rest)
    return DocumentRows(writer, width, end_id)
