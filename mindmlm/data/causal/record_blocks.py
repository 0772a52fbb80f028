"""Blocks of tokens in record files: made from documents, and read back."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from mindmlm.data.building.encoded import EncodedDocuments
from mindmlm.data.causal.blocks import causal_samples
from mindmlm.data.record_rows import OriginalRows
from mindmlm.data.records.rows import CAUSAL, Columns, Ragged
from mindmlm.data.report import ReadReport
from mindmlm.data.store import BLOCKS, TokenStoreWriter
from mindmlm.data.text_size import TextCounter
from mindmlm.errors import DataError
from mindmlm.tokenizers.gpt2 import GPT2Tokenizer

_ROWS_AT_ONCE = 1024


class _Collected:
    """Samples in memory, those of one shard."""

    def __init__(self) -> None:
        self.samples: list[np.ndarray] = []

    def append(self, tokens: np.ndarray) -> None:
        self.samples.append(tokens)


def blocks_of_documents(
    documents: EncodedDocuments, sample_mode: str, max_seq_length: int, end_id: int
) -> list[np.ndarray]:
    """Cut the documents of a shard, int32 [at most max_seq_length + 1] each, in their order.

    A shard is a stream of its own and its last block may be short, so that shards do not depend
    on each other and nothing is left out.

    Args:
        documents: of one shard.
        sample_mode: "packed" or "line".
        max_seq_length: tokens of a row that the model reads.
        end_id: ends a document.
    """
    found = _Collected()
    maker = causal_samples(found, sample_mode, max_seq_length, end_id, keep_rest=True)
    begin = 0
    for end in documents.token_ends().tolist():
        maker.add(documents.tokens[begin:end], documents.word_starts, [end - begin])
        begin = end
    maker.finish()
    return found.samples


def block_columns(blocks: list[np.ndarray]) -> Iterator[Columns]:
    """Yield the columns of blocks, about a thousand rows at a time."""
    for begin in range(0, len(blocks), _ROWS_AT_ONCE):
        some = blocks[begin : begin + _ROWS_AT_ONCE]
        lengths = np.array([len(block) for block in some], np.int64)
        yield {"input_ids": Ragged(np.concatenate(some).astype(np.int64), lengths)}


def block_rows(columns: Columns, end_id: int, place: str) -> OriginalRows:
    """Return the rows of a batch of records without their padding.

    End tokens behind the first one at the end of a row are padding: other programs fill rows with
    them, and no document is empty.

    Args:
        columns: with ``input_ids``.
        end_id: ends a document.
        place: for messages.

    Raises:
        DataError: a row has fewer than 2 tokens.
    """
    column = columns["input_ids"]
    if (column.lengths < 2).any():
        raise DataError(f"{place}: a row has fewer than 2 tokens, so nothing can be predicted")
    ends = np.cumsum(column.lengths)
    begins = ends - column.lengths
    places = np.arange(len(column.values))
    text = np.where(column.values == end_id, -1, places)
    last = np.maximum.reduceat(text, begins) if len(begins) else ends
    kept = np.minimum(ends, np.maximum(last, begins) + 2)
    lengths = kept - begins
    inside = places < np.repeat(kept, column.lengths)
    tokens = column.values[inside].astype(np.int64)
    return OriginalRows(tokens, None, np.zeros(len(tokens), np.bool_), np.cumsum(lengths))


class BlockWriters:
    """The stores of both sides, filled with the rows of records.

    Args:
        folder: the stores are made in it.
        sides: their names, training text first.
        tokenizer: of the vocabulary of the ids.
        max_seq_length: L; rows have at most L + 1 tokens.
        stack: closes the stores.
    """

    def __init__(
        self,
        folder: Path,
        sides: tuple[str, str],
        tokenizer: GPT2Tokenizer,
        max_seq_length: int,
        stack: ExitStack,
    ) -> None:
        self._folder = folder
        self._sides = sides
        self._tokenizer = tokenizer
        self._width = max_seq_length
        self._stack = stack
        self._writers: dict[str, TokenStoreWriter] = {}
        self._counter = TextCounter(tokenizer)

    def originals(self, form: str, columns: Columns, place: str) -> OriginalRows:
        """Return the rows of a batch.

        Raises:
            DataError: they are BERT's; see `block_rows`.
        """
        if form != CAUSAL:
            raise DataError(
                f"{place}: its rows are {form} ones for BERT, and the run trains a GPT-2; build "
                "records with --tokenizer GPT2Tokenizer"
            )
        return block_rows(columns, self._tokenizer.end_id, place)

    def write(
        self, form: str, columns: Columns, rows: OriginalRows, held_out: np.ndarray, place: str
    ) -> None:
        """Write the rows of a batch to the side that ``held_out`` (bool [rows]) says.

        Raises:
            DataError: a row is longer than the run's.
        """
        lengths = np.diff(rows.ends, prepend=0)
        longest = int(lengths.max(initial=0))
        if longest > self._width + 1:
            raise DataError(
                f"{place}: has rows of {longest} tokens (one more than the model reads), the run "
                f"reads {self._width}; set train_dataset.max_seq_length to {longest - 1}"
            )
        blocks = np.split(rows.tokens, rows.ends[:-1])
        for block, is_held_out in zip(blocks, held_out.tolist(), strict=True):
            self._writer(self._sides[is_held_out]).append(block)
            if is_held_out:
                self._counter.add(block[1:])

    def finish(self, report: ReadReport) -> None:
        """Note the sizes."""
        for side, writer in self._writers.items():
            report.samples += writer.num_samples
            report.tokens += writer.num_tokens
            if side == self._sides[1]:
                writer.text = self._counter.size()

    def _writer(self, side: str) -> TokenStoreWriter:
        if side not in self._writers:
            self._writers[side] = self._stack.enter_context(
                TokenStoreWriter(self._folder / side, self._tokenizer.vocab_size, BLOCKS)
            )
        return self._writers[side]
