"""The encoded documents of one shard, and how rows are put together from stretches of them."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mindmlm.data.encoding import EncodedChunk
from mindmlm.data.masking import TokenBatch, VocabularyInfo

DocumentArrays = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class EncodedDocuments:
    """Documents one after the other.

    Attributes:
        tokens: int32 [n].
        word_starts: bool [n].
        segment_ends: one int64 array for each document: where in ``tokens`` each of its
            segments (lines) ends. The first begins where the document before ends.
    """

    tokens: np.ndarray
    word_starts: np.ndarray
    segment_ends: list[np.ndarray]

    @classmethod
    def join(cls, documents: list[DocumentArrays]) -> "EncodedDocuments":
        """Put documents together, given as (tokens, word starts, tokens of each segment).

        Those without tokens are left out.
        """
        documents = [document for document in documents if len(document[0])]
        ends, begin = [], 0
        for tokens, _, lengths in documents:
            ends.append(begin + np.cumsum(lengths[lengths > 0]))
            begin += len(tokens)
        return cls(
            np.concatenate([np.zeros(0, np.int32), *(document[0] for document in documents)]),
            np.concatenate([np.zeros(0, np.bool_), *(document[1] for document in documents)]),
            ends,
        )


def split_chunk(chunk: EncodedChunk) -> Iterator[DocumentArrays]:
    """Yield (tokens, word starts, tokens of each line) of every document of a chunk."""
    line, token = 0, 0
    for lines in chunk.lines.tolist():
        lengths = chunk.lengths[line : line + lines]
        end = token + int(lengths.sum())
        yield chunk.tokens[token:end], chunk.word_starts[token:end], lengths
        line, token = line + lines, end


@dataclass(frozen=True)
class Rows:
    """Rows `[CLS] A [SEP]` or `[CLS] A [SEP] B [SEP]` as stretches of the shard's tokens.

    Attributes:
        spans: int64 [rows, 4], begin and end of A, begin and end of B; an empty B = no B.
        labels: int64 [rows], 1 = B does not follow A (NSP), or follows it in reverse (SOP).
    """

    spans: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.spans)


@dataclass(frozen=True)
class AssembledRows:
    """Rows with their special tokens, padded.

    Attributes:
        batch: ids, word starts and lengths.
        segment_ids: int64 [rows, L], 1 for B and the [SEP] behind it.
    """

    batch: TokenBatch
    segment_ids: np.ndarray


def assemble_rows(
    documents: EncodedDocuments, spans: np.ndarray, columns: int, vocabulary: VocabularyInfo
) -> AssembledRows:
    """Return ``spans`` (int64 [rows, 4], see `Rows`) as rows of ``columns`` tokens."""
    begin_a, end_a, begin_b, end_b = (spans[:, place, None] for place in range(4))
    size_a, size_b = end_a - begin_a, end_b - begin_b
    column = np.arange(columns)
    first_sep = size_a + 1
    in_a = (column >= 1) & (column < first_sep)
    in_b = (column > first_sep) & (column <= first_sep + size_b)
    last = np.where(size_b > 0, first_sep + size_b + 1, first_sep)
    place = np.where(in_b, begin_b + column - first_sep - 1, begin_a + column - 1)
    inside = in_a | in_b
    place = np.where(inside, place, 0)
    ids = np.where(inside, documents.tokens[place], vocabulary.pad_id).astype(np.int32)
    ids[:, 0] = vocabulary.cls_id
    ids[(column == first_sep) | (column == last)] = vocabulary.sep_id
    starts = documents.word_starts[place] | ~inside
    starts[:, 1] = True
    starts |= column == first_sep + 1
    segments = ((column > first_sep) & (column <= last)).astype(np.int64)
    return AssembledRows(TokenBatch(ids, starts, last[:, 0] + 1), segments)
