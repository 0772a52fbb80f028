"""Batches of rows `[CLS] question [SEP] window [SEP] [PAD]...`."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mindmlm.data.batches import BatchLayout
from mindmlm.data.question_answering.store import UNKNOWN, QuestionStore
from mindmlm.data.sampler import GlobalOrder
from mindmlm.tokenizers.bert import BertTokenizer


@dataclass(frozen=True)
class RowForm:
    """Length of a row and its special tokens."""

    max_seq_length: int
    cls_id: int
    sep_id: int
    pad_id: int

    @classmethod
    def of(cls, tokenizer: BertTokenizer, max_seq_length: int) -> "RowForm":
        """Return the form of rows of a tokenizer."""
        return cls(max_seq_length, tokenizer.cls_id, tokenizer.sep_id, tokenizer.pad_id)


@dataclass(frozen=True)
class QuestionBatch:
    """Rows; B rows, L columns.

    Attributes:
        input_ids, input_mask, segment_ids: int32 [B, L]; the window is segment 1.
        start_positions, end_positions: int32 [B], columns of the answer; 0 = not in this window.
        weights: float32 [B], 0 for rows that have no loss.
        feature_ids: int64 [B], number of each row in the store; -1 = filled up.
    """

    input_ids: np.ndarray
    input_mask: np.ndarray
    segment_ids: np.ndarray
    start_positions: np.ndarray
    end_positions: np.ndarray
    weights: np.ndarray
    feature_ids: np.ndarray


def question_batch(store: QuestionStore, feature_ids: np.ndarray, form: RowForm) -> QuestionBatch:
    """Return rows of the store, int64 [B]; -1 gives `[CLS] [SEP] [SEP]` with weight 0."""
    shape = (len(feature_ids), form.max_seq_length)
    ids = np.full(shape, form.pad_id, np.int32)
    mask, segments = np.zeros(shape, np.int32), np.zeros(shape, np.int32)
    answers = np.full((2, len(feature_ids)), UNKNOWN, np.int32)
    empty = np.zeros(0, np.int32)
    for row, number in enumerate(feature_ids.tolist()):
        question, window = empty, empty
        if number >= 0:
            feature = store.feature(number)
            question = store.question_tokens(feature.question)
            window = store.context(feature.question).ids[feature.first : feature.stop]
            answers[:, row] = feature.start, feature.end
        fill_row(ids[row], mask[row], segments[row], question, window, form)
    known = answers[0] != UNKNOWN
    starts, ends = np.where(known, answers, 0)
    return QuestionBatch(ids, mask, segments, starts, ends, known.astype(np.float32), feature_ids)


def fill_row(
    ids: np.ndarray,
    mask: np.ndarray,
    segments: np.ndarray,
    question: np.ndarray,
    window: np.ndarray,
    form: RowForm,
) -> None:
    """Write a question and a window into the front of a row; all arrays are [n]."""
    begin, stop = len(question) + 2, len(question) + len(window) + 3
    ids[0], ids[begin - 1], ids[stop - 1] = form.cls_id, form.sep_id, form.sep_id
    ids[1 : begin - 1] = question
    ids[begin : stop - 1] = window
    mask[:stop] = 1
    segments[begin:stop] = 1


class QuestionTrainBatches:
    """Training batches; the batch of a step is computed from the step's number alone.

    The rows of the n-th global batch are the same in every layout with the same global batch size.

    Args:
        store: the rows.
        order: their order.
        layout: this rank's part.
        form: of the rows.
    """

    def __init__(
        self, store: QuestionStore, order: GlobalOrder, layout: BatchLayout, form: RowForm
    ) -> None:
        self._store = store
        self._order = order
        self._form = form
        self.layout = layout

    def global_batch(self, step: int) -> list[QuestionBatch]:
        """Return this rank's micro-batches of global step ``step`` (from 0)."""
        begin = step * self.layout.global_batch_size
        starts = [begin + self.layout.first_row(m) for m in range(self.layout.micro_batches)]
        return [
            question_batch(
                self._store, self._order.at(start, self.layout.batch_size)[0], self._form
            )
            for start in starts
        ]

    def rows_in_global_batch(self, micro: int) -> np.ndarray:
        """Return the places of this rank's rows in the global batch, int64 [batch_size]."""
        return self.layout.rows(micro)


class QuestionEvalBatches:
    """Every row once; the last batch is filled up.

    Args:
        store: the rows.
        batch_size: rows of a batch.
        form: of the rows.
        part, parts: take the rows of one of so many parts of the questions, about equally many
            rows each; all rows of a question are in one part.
    """

    def __init__(
        self, store: QuestionStore, batch_size: int, form: RowForm, part: int = 0, parts: int = 1
    ) -> None:
        self._store = store
        self._batch_size = batch_size
        self._form = form
        self._first, self._stop = (
            _question_border(store, number * store.num_samples // parts)
            for number in (part, part + 1)
        )

    def __len__(self) -> int:
        return -(-(self._stop - self._first) // self._batch_size)

    def __iter__(self) -> Iterator[QuestionBatch]:
        return map(self.batch, range(len(self)))

    def batch(self, number: int) -> QuestionBatch:
        """Return batch ``number``, 0 .. len - 1."""
        first = self._first + number * self._batch_size
        ids = np.arange(first, first + self._batch_size, dtype=np.int64)
        return question_batch(self._store, np.where(ids < self._stop, ids, -1), self._form)


def _question_border(store: QuestionStore, row: int) -> int:
    """Return the first row at ``row`` or behind it that begins a question."""
    questions = store.question_of_features()
    if row >= len(questions):
        return len(questions)
    return int(np.searchsorted(questions, questions[row], side="left"))
