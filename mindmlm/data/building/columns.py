"""Rows of a shard as the columns that are written: masked once, or left to be masked later."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from mindmlm.data.building.encoded import AssembledRows, EncodedDocuments, Rows, assemble_rows
from mindmlm.data.masking import MaskingSettings, VocabularyInfo, mask_batch
from mindmlm.data.records.rows import STATIC, Columns, Ragged
from mindmlm.data.sampler import GlobalOrder

_ROWS_AT_ONCE = 1024
_SHARD_SHIFT = 40
_CORPUS_TOKENS = 1 << 20


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
        ends = np.cumsum([len(rows) for rows in passes])
        order = GlobalOrder(int(ends[-1]), self.seed + shard)
        masking = self._masking_of(documents)
        for begin in range(0, int(ends[-1]), _ROWS_AT_ONCE):
            here, _ = order.at(begin, min(_ROWS_AT_ONCE, int(ends[-1]) - begin))
            number = np.searchsorted(ends, here, side="right")
            within = here - (ends - np.diff(ends, prepend=0))[number]
            spans, labels = _pick(passes, number, within)
            rows = assemble_rows(
                documents.tokens,
                documents.word_starts,
                spans,
                self.max_seq_length,
                self.vocabulary,
            )
            if self.form == STATIC:
                sample_ids = within + (shard << _SHARD_SHIFT)
                columns = self._masked(rows, masking, number, sample_ids)
            else:
                columns = _unmasked(rows)
            columns["next_sentence_labels"] = Ragged.of_matrix(labels[:, None])
            yield columns

    def _masking_of(self, documents: EncodedDocuments) -> MaskingSettings:
        """Return the masking of a shard: random tokens of spans come from the shard's text."""
        tokens = documents.tokens[:: -(-len(documents.tokens) // _CORPUS_TOKENS)]
        ordinary = tokens[~self.vocabulary.is_special[tokens]]
        return replace(self.masking, corpus_tokens=ordinary if len(ordinary) else None)

    def _masked(
        self,
        rows: AssembledRows,
        masking: MaskingSettings,
        epochs: np.ndarray,
        sample_ids: np.ndarray,
    ) -> Columns:
        masked = mask_batch(rows.batch, masking, self.vocabulary, self.seed, epochs, sample_ids)
        matrices = {
            "input_ids": masked.input_ids,
            "input_mask": masked.input_mask,
            "segment_ids": rows.segment_ids,
            "masked_lm_positions": masked.masked_lm_positions,
            "masked_lm_ids": masked.masked_lm_ids,
            "masked_lm_weights": masked.masked_lm_weights,
        }
        return {name: Ragged.of_matrix(matrix) for name, matrix in matrices.items()}


def _pick(
    passes: list[Rows], number: np.ndarray, within: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return spans int64 [rows, 4] and labels int64 [rows] of row ``within`` of pass ``number``."""
    spans = np.empty((len(number), 4), np.int64)
    labels = np.empty(len(number), np.int64)
    for place, rows in enumerate(passes):
        here = number == place
        spans[here], labels[here] = rows.spans[within[here]], rows.labels[within[here]]
    return spans, labels


def _unmasked(rows: AssembledRows) -> Columns:
    lengths = rows.batch.lengths
    inside = np.arange(rows.segment_ids.shape[1]) < lengths[:, None]
    return {
        "tokens": Ragged(rows.batch.input_ids[inside].astype(np.int64), lengths),
        "word_starts": Ragged(rows.batch.word_starts[inside].astype(np.int64), lengths),
        "segment_ids": Ragged(rows.segment_ids[inside], lengths),
    }
