"""Several documents in one row, none of which sees another (Krell et al., 2021)."""

from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace

import numpy as np

from mindmlm.data.blocks import cut_blocks
from mindmlm.data.masking import MaskedBatch, VocabularyInfo
from mindmlm.data.store import DOCUMENTS, PAIRS, TokenStoreWriter

_OPEN_ROWS = 256


@dataclass(frozen=True)
class PackedBatch(MaskedBatch):
    """A batch whose rows hold several documents `[CLS] tokens [SEP]` one after the other.

    Attributes:
        document_ids: int32 [B, L], the document of each token, from 1 in each row; 0 = padding.
        position_ids: int32 [B, L], from 0 in each document.
    """

    document_ids: np.ndarray
    position_ids: np.ndarray


def with_structure(
    masked: MaskedBatch, input_ids: np.ndarray, row_form: str, vocabulary: VocabularyInfo
) -> MaskedBatch:
    """Add what the special tokens inside of a row say of its parts.

    Args:
        masked: the batch.
        input_ids: int32 [B, L] before masking.
        row_form: of the store, see `TokenStore`.
        vocabulary: special tokens.
    """
    inside = masked.input_mask
    if row_form == PAIRS:
        ends = input_ids == vocabulary.sep_id
        second = (np.cumsum(ends, axis=1) - ends > 0) * inside
        return replace(masked, segment_ids=second.astype(np.int32))
    if row_form == DOCUMENTS:
        begins = input_ids == vocabulary.cls_id
        columns = np.arange(input_ids.shape[1])
        first = np.maximum.accumulate(np.where(begins, columns, 0), axis=1)
        return PackedBatch(
            **{entry.name: getattr(masked, entry.name) for entry in fields(masked)},
            document_ids=(np.cumsum(begins, axis=1) * inside).astype(np.int32),
            position_ids=((columns - first) * inside).astype(np.int32),
        )
    return masked


@dataclass
class _OpenRow:
    tokens: list[np.ndarray] = field(default_factory=list)
    word_starts: list[np.ndarray] = field(default_factory=list)


class IsolatedSamples:
    """Whole documents in rows, each where it leaves the least room (best fit).

    A document longer than a row is cut, at the beginning of a word if possible. A few hundred rows
    are open at a time; the fullest one is written when there are more.

    Args:
        writer: takes the samples.
        block: tokens of a sample (without the first [CLS] and the last [SEP]).
        sep_id, cls_id: what stands between documents.
    """

    def __init__(self, writer: TokenStoreWriter, block: int, sep_id: int, cls_id: int) -> None:
        self._writer = writer
        self._block = block
        self._between = np.array([sep_id, cls_id], np.int32)
        # (room left, number) ascending; numbers make equal rooms come in a fixed order.
        self._rooms: list[tuple[int, int]] = []
        self._rows: dict[int, _OpenRow] = {}
        self._opened = 0

    def add(self, tokens: np.ndarray, word_starts: np.ndarray, lengths: Sequence[int]) -> None:
        """Place one document."""
        for begin, end in cut_blocks(word_starts, 0, len(tokens), self._block):
            starts = word_starts[begin:end].copy()
            starts[0] = True
            self._place(tokens[begin:end].copy(), starts)

    def finish(self) -> int:
        """Write the rows that are still open, the oldest first; nothing is left out."""
        for number in sorted(self._rows):
            self._write(number)
        self._rooms = []
        return 0

    def _place(self, tokens: np.ndarray, starts: np.ndarray) -> None:
        needed = len(tokens) + len(self._between)
        place = bisect_left(self._rooms, (needed, -1))
        if place < len(self._rooms):
            room, number = self._rooms.pop(place)
            row = self._rows[number]
            row.tokens.append(self._between)
            row.word_starts.append(np.ones(len(self._between), np.bool_))
            room -= needed
        else:
            number, row = self._opened, _OpenRow()
            self._rows[number] = row
            self._opened += 1
            room = self._block - len(tokens)
        row.tokens.append(tokens)
        row.word_starts.append(starts)
        if room <= len(self._between):
            self._write(number)
            return
        insort(self._rooms, (room, number))
        if len(self._rooms) > _OPEN_ROWS:
            self._write(self._rooms.pop(0)[1])

    def _write(self, number: int) -> None:
        row = self._rows.pop(number)
        self._writer.append(np.concatenate(row.tokens), np.concatenate(row.word_starts))
