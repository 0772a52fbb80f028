"""Rows of a shard as the columns that are written: masked once, or left to be masked later."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mindmlm.data.building.encoded import AssembledRows, EncodedDocuments, Rows, assemble_rows
from mindmlm.data.masking import MaskingSettings, VocabularyInfo, mask_batch
from mindmlm.data.records.rows import STATIC, Columns, Ragged
from mindmlm.data.sampler import GlobalOrder

_ROWS_AT_ONCE = 1024
_SHARD_SHIFT = 40


@dataclass(frozen=True)
class ColumnMaker:
    """Turns the rows of a shard into columns.

    Attributes:
        form: "static" or "dynamic".
        max_seq_length: L.
        masking: of static rows.
        vocabulary: special tokens.
        seed: of masks and order.
    """

    form: str
    max_seq_length: int
    masking: MaskingSettings
    vocabulary: VocabularyInfo
    seed: int

    def batches(
        self, documents: EncodedDocuments, passes: list[Rows], shard: int
    ) -> Iterator[Columns]:
        """Yield the columns of all rows in a random order, about a thousand rows at a time.

        Args:
            documents: of the shard.
            passes: the rows of each pass over the documents; each has masks of its own.
            shard: number of the shard, so that no two rows of a data set share random bits.
        """
        spans = np.concatenate([rows.spans for rows in passes])
        labels = np.concatenate([rows.labels for rows in passes])
        counts = [len(rows) for rows in passes]
        numbers = np.repeat(np.arange(len(passes)), counts)
        within = np.concatenate([np.arange(count) for count in counts])
        sample_ids = within + (shard << _SHARD_SHIFT)
        order, _ = GlobalOrder(len(spans), self.seed + shard).at(0, len(spans))
        for begin in range(0, len(order), _ROWS_AT_ONCE):
            here = order[begin : begin + _ROWS_AT_ONCE]
            rows = assemble_rows(documents, spans[here], self.max_seq_length, self.vocabulary)
            if self.form == STATIC:
                columns = self._masked(rows, numbers[here], sample_ids[here])
            else:
                columns = _unmasked(rows)
            columns["next_sentence_labels"] = Ragged.of_matrix(labels[here, None])
            yield columns

    def _masked(self, rows: AssembledRows, epochs: np.ndarray, sample_ids: np.ndarray) -> Columns:
        masked = mask_batch(
            rows.batch, self.masking, self.vocabulary, self.seed, epochs, sample_ids
        )
        matrices = {
            "input_ids": masked.input_ids,
            "input_mask": masked.input_mask,
            "segment_ids": rows.segment_ids,
            "masked_lm_positions": masked.masked_lm_positions,
            "masked_lm_ids": masked.masked_lm_ids,
            "masked_lm_weights": masked.masked_lm_weights,
        }
        return {name: Ragged.of_matrix(matrix) for name, matrix in matrices.items()}


def _unmasked(rows: AssembledRows) -> Columns:
    lengths = rows.batch.lengths
    inside = np.arange(rows.segment_ids.shape[1]) < lengths[:, None]
    return {
        "tokens": Ragged(rows.batch.input_ids[inside].astype(np.int64), lengths),
        "word_starts": Ragged(rows.batch.word_starts[inside].astype(np.int64), lengths),
        "segment_ids": Ragged(rows.segment_ids[inside], lengths),
    }
