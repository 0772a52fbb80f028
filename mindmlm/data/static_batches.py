"""Batches of rows whose masks were made when the data set was built."""

import numpy as np

from mindmlm.data.batches import BatchLayout
from mindmlm.data.masking import MaskedBatch
from mindmlm.data.row_store import RowStore
from mindmlm.data.sampler import GlobalOrder


class StaticBatches:
    """As `TrainBatches`, but the masks come with the rows and are the same in every epoch.

    Args:
        store: the rows.
        order: their order.
        layout: this rank's part.
    """

    def __init__(self, store: RowStore, order: GlobalOrder, layout: BatchLayout) -> None:
        self._store = store
        self._order = order
        self.layout = layout

    def global_batch(self, step: int) -> list[MaskedBatch]:
        """Return this rank's micro-batches of global step ``step`` (from 0)."""
        begin = step * self.layout.global_batch_size
        starts = [begin + self.layout.first_row(m) for m in range(self.layout.micro_batches)]
        return [
            self._store.batch(self._order.at(start, self.layout.batch_size)[0]) for start in starts
        ]

    def rows_in_global_batch(self, micro: int) -> np.ndarray:
        """Return the places of this rank's rows in the global batch, int64 [batch_size]."""
        return self.layout.rows(micro)
