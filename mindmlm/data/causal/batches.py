"""Batches of a causal language model: each position predicts the token behind it."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mindmlm.data.batches import BatchLayout
from mindmlm.data.sampler import GlobalOrder
from mindmlm.data.store import TokenStore


@dataclass(frozen=True)
class CausalBatch:
    """Rows of one length; B rows, L columns.

    Attributes:
        input_ids: int32 [B, L].
        labels: int32 [B, L], the token behind each one of ``input_ids``.
        weights: float32 [B, L], 1 where a label counts, 0 in the padding.
        document_ids: int32 [B, L], the document of each token, from 1 in each row; 0 = padding.
            None = the documents of a row see each other.
        position_ids: int32 [B, L], from 0 in each document of a row. None as above.
    """

    input_ids: np.ndarray
    labels: np.ndarray
    weights: np.ndarray
    document_ids: np.ndarray | None = None
    position_ids: np.ndarray | None = None


@dataclass(frozen=True)
class RowForm:
    """How a sample becomes a row.

    Attributes:
        max_seq_length: L, columns.
        end_id: ends a document, begins the next one, and fills the padding.
        isolate_documents: attention and positions begin anew with each document of a row.
    """

    max_seq_length: int
    end_id: int
    isolate_documents: bool = False


def causal_batch(store: TokenStore, sample_ids: np.ndarray, form: RowForm) -> CausalBatch:
    """Return samples as rows; a sample id of -1 gives a row of padding.

    An end token belongs to the document behind it: it is what the first token of that document is
    predicted from, so documents that are kept apart tell each other nothing.

    Args:
        store: blocks of at most ``max_seq_length + 1`` tokens.
        sample_ids: int64 [B].
        form: see `RowForm`.
    """
    columns = np.arange(form.max_seq_length)
    blocks = np.full((len(sample_ids), form.max_seq_length + 1), form.end_id, np.int32)
    lengths = store.fill(sample_ids, blocks)
    inside = columns < lengths[:, None] - 1
    input_ids = np.ascontiguousarray(blocks[:, :-1])
    labels = np.ascontiguousarray(blocks[:, 1:])
    weights = inside.astype(np.float32)
    if not form.isolate_documents:
        return CausalBatch(input_ids, labels, weights)
    begins = input_ids == form.end_id
    begins[:, 0] = True
    first = np.maximum.accumulate(np.where(begins, columns, 0), axis=1)
    return CausalBatch(
        input_ids,
        labels,
        weights,
        document_ids=(np.cumsum(begins, axis=1) * inside).astype(np.int32),
        position_ids=((columns - first) * inside).astype(np.int32),
    )


class CausalTrainBatches:
    """Training batches; the batch of a step is computed from the step's number alone.

    The samples of the n-th global batch are the same in every layout with the same global batch
    size.

    Args:
        store: the samples.
        order: their order.
        layout: this rank's part.
        form: of the rows.
    """

    def __init__(
        self, store: TokenStore, order: GlobalOrder, layout: BatchLayout, form: RowForm
    ) -> None:
        self._store = store
        self._order = order
        self._form = form
        self.layout = layout

    def global_batch(self, step: int) -> list[CausalBatch]:
        """Return this rank's micro-batches of global step ``step`` (from 0)."""
        begin = step * self.layout.global_batch_size
        return [
            self._micro_batch(begin + self.layout.first_row(micro))
            for micro in range(self.layout.micro_batches)
        ]

    def rows_in_global_batch(self, micro: int) -> np.ndarray:
        """Return the places of this rank's rows in the global batch, int64 [batch_size]."""
        return self.layout.rows(micro)

    def _micro_batch(self, place: int) -> CausalBatch:
        sample_ids, _ = self._order.at(place, self.layout.batch_size)
        return causal_batch(self._store, sample_ids, self._form)


class CausalEvalBatches:
    """Every evaluation sample once; the last batch is filled up with rows of padding.

    Args:
        store: the samples.
        batch_size: rows.
        form: of the rows.
    """

    def __init__(self, store: TokenStore, batch_size: int, form: RowForm) -> None:
        self._store = store
        self._batch_size = batch_size
        self._form = form

    def __len__(self) -> int:
        return -(-self._store.num_samples // self._batch_size)

    def __iter__(self) -> Iterator[CausalBatch]:
        return map(self.batch, range(len(self)))

    def batch(self, number: int) -> CausalBatch:
        """Return batch ``number``, 0 .. len - 1."""
        first = number * self._batch_size
        ids = np.arange(first, first + self._batch_size, dtype=np.int64)
        ids = np.where(ids < self._store.num_samples, ids, -1)
        return causal_batch(self._store, ids, self._form)
