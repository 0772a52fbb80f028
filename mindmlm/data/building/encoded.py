"""The encoded documents of one shard, and how rows are put together from stretches of them."""

from dataclasses import dataclass

import numpy as np

from mindmlm.data.encoding import EncodedChunk
from mindmlm.data.masking import TokenBatch, VocabularyInfo


@dataclass(frozen=True)
class EncodedDocuments:
    """Documents one after the other; those without tokens are left out.

    Attributes:
        tokens: int32 [n].
        word_starts: bool [n].
        segment_ends: int64 [segments], where in ``tokens`` each segment (line) ends. Each begins
            where the one before ends.
        document_ends: int64 [documents], where in ``segment_ends`` each document ends.
    """

    tokens: np.ndarray
    word_starts: np.ndarray
    segment_ends: np.ndarray
    document_ends: np.ndarray

    def __len__(self) -> int:
        return len(self.document_ends)

    def token_ends(self) -> np.ndarray:
        """Return int64 [documents], where in ``tokens`` each document ends."""
        return self.segment_ends[self.document_ends - 1]


class DocumentBuffer:
    """Collects encoded documents until a shard of them is complete.

    Arrays grow in place: joining pieces at the end would hold everything twice.
    """

    def __init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self.documents = 0
        self._tokens = bytearray()
        self._word_starts = bytearray()
        self._line_lengths = bytearray()
        self._line_counts = bytearray()

    def add(self, chunk: EncodedChunk, begin: int, end: int) -> None:
        """Take the documents ``begin`` .. ``end`` of a chunk."""
        line_ends = np.concatenate([[0], np.cumsum(chunk.lines)])
        lines = slice(int(line_ends[begin]), int(line_ends[end]))
        first = int(chunk.lengths[: lines.start].sum())
        tokens = slice(first, first + int(chunk.lengths[lines].sum()))
        self.documents += end - begin
        self._tokens += chunk.tokens[tokens].astype(np.int32, copy=False).tobytes()
        self._word_starts += chunk.word_starts[tokens].astype(np.bool_, copy=False).tobytes()
        self._line_lengths += chunk.lengths[lines].astype(np.int64, copy=False).tobytes()
        self._line_counts += chunk.lines[begin:end].astype(np.int64, copy=False).tobytes()

    def take(self) -> EncodedDocuments:
        """Return everything and begin anew."""
        lengths = np.frombuffer(self._line_lengths, np.int64)
        counts = np.frombuffer(self._line_counts, np.int64)
        filled = lengths > 0
        document = np.repeat(np.arange(len(counts)), counts)
        segments = np.bincount(document[filled], minlength=len(counts))
        documents = EncodedDocuments(
            np.frombuffer(self._tokens, np.int32),
            np.frombuffer(self._word_starts, np.bool_),
            np.cumsum(lengths[filled]),
            np.cumsum(segments[segments > 0]),
        )
        # The arrays keep the old buffers alive.
        self._clear()
        return documents


@dataclass(frozen=True)
class Rows:
    """Rows `[CLS] A [SEP]` or `[CLS] A [SEP] B [SEP]` as stretches of the shard's tokens.

    Attributes:
        spans: int32 [rows, 4], begin and end of A, begin and end of B; an empty B = no B.
        labels: int8 [rows], 1 = B does not follow A (NSP), or follows it in reverse (SOP).
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
    tokens: np.ndarray,
    word_starts: np.ndarray,
    spans: np.ndarray,
    columns: int,
    vocabulary: VocabularyInfo,
) -> AssembledRows:
    """Return stretches of all tokens as rows.

    Args:
        tokens, word_starts: of all documents, [n].
        spans: [rows, 4], see `Rows`; an empty A gives `[CLS] [SEP]`.
        columns: L, tokens of a row.
        vocabulary: special tokens.
    """
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
    ids = np.where(inside, tokens[place], vocabulary.pad_id).astype(np.int32)
    ids[:, 0] = vocabulary.cls_id
    ids[(column == first_sep) | (column == last)] = vocabulary.sep_id
    starts = word_starts[place] | ~inside
    starts[:, 1] = True
    starts |= column == first_sep + 1
    segments = ((column > first_sep) & (column <= last)).astype(np.int64)
    return AssembledRows(TokenBatch(ids, starts, last[:, 0] + 1), segments)
