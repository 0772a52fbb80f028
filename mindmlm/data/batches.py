"""Batches of masked rows for training and for evaluation."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mindmlm.data.building.encoded import assemble_rows
from mindmlm.data.masking import (
    MaskedBatch,
    MaskingSettings,
    TokenBatch,
    VocabularyInfo,
    mask_batch,
)
from mindmlm.data.packing import with_structure
from mindmlm.data.sampler import GlobalOrder
from mindmlm.data.sentence_pairs.batch import PairBatch
from mindmlm.data.sentence_pairs.store import PairStore
from mindmlm.data.store import PAIRS, TokenStore

EVAL_MASK_SEED = 20181011
EVAL_MASKING = MaskingSettings(strategy="token", masked_lm_prob=0.15)


def assemble(
    store: TokenStore, sample_ids: np.ndarray, max_seq_length: int, vocabulary: VocabularyInfo
) -> TokenBatch:
    """Return rows `[CLS] tokens [SEP] [PAD]...`; a sample id of -1 gives `[CLS] [SEP]`.

    Args:
        store: the samples; longer ones are cut to ``max_seq_length - 2`` tokens.
        sample_ids: int64 [B].
        max_seq_length: L, columns.
        vocabulary: the special tokens.
    """
    rows = np.arange(len(sample_ids))
    input_ids = np.full((len(rows), max_seq_length), vocabulary.pad_id, np.int32)
    starts = np.ones((len(rows), max_seq_length), np.bool_)
    lengths = store.fill(sample_ids, input_ids[:, 1:-1], starts[:, 1:-1])
    input_ids[:, 0] = vocabulary.cls_id
    input_ids[rows, lengths + 1] = vocabulary.sep_id
    return TokenBatch(input_ids, starts, lengths + 2)


@dataclass(frozen=True)
class MaskableRows:
    """Samples of a store as rows that are to be masked.

    Attributes:
        store: the samples; pairs are made anew in every epoch, see `PairStore`.
        max_seq_length: L, columns.
        vocabulary: the special tokens.
        seed: of pairs and masks.
    """

    store: TokenStore | PairStore
    max_seq_length: int
    vocabulary: VocabularyInfo
    seed: int

    def tokens(self, sample_ids: np.ndarray, epochs: np.ndarray) -> TokenBatch:
        """Return the rows before masking; both arguments are int64 [B]."""
        return self._pairs(sample_ids, epochs)[0]

    def masked(
        self, sample_ids: np.ndarray, epochs: np.ndarray, masking: MaskingSettings
    ) -> MaskedBatch:
        """Return masked rows: a function of (seed, epoch, sample id) and nothing else."""
        tokens, segment_ids, labels = self._pairs(sample_ids, epochs)
        masked = mask_batch(tokens, masking, self.vocabulary, self.seed, epochs, sample_ids)
        if segment_ids is not None:
            return PairBatch.of(masked, segment_ids, labels)
        store = self.store
        assert isinstance(store, TokenStore)
        masked = with_structure(masked, tokens.input_ids, store.row_form, self.vocabulary)
        if store.row_form == PAIRS:
            return PairBatch.of(masked, masked.segment_ids, store.labels(sample_ids))
        return masked

    def _pairs(
        self, sample_ids: np.ndarray, epochs: np.ndarray
    ) -> tuple[TokenBatch, np.ndarray | None, np.ndarray]:
        """Return the rows, and segment ids and labels of pairs that are made here."""
        store = self.store
        if isinstance(store, TokenStore):
            tokens = assemble(store, sample_ids, self.max_seq_length, self.vocabulary)
            return tokens, None, np.zeros(0)
        spans, labels = store.pairs(sample_ids, epochs, self.seed)
        rows = assemble_rows(
            store.all_tokens, store.word_starts, spans, self.max_seq_length, self.vocabulary
        )
        return rows.batch, rows.segment_ids, labels


@dataclass(frozen=True)
class BatchLayout:
    """How a global batch is divided.

    Attributes:
        batch_size: rows of one data-parallel rank in one micro-batch.
        data_parallel, data_parallel_rank: number of such ranks, and which one this is.
        micro_batches: batches whose gradients are added up in one step.
    """

    batch_size: int
    micro_batches: int = 1
    data_parallel: int = 1
    data_parallel_rank: int = 0

    @property
    def global_batch_size(self) -> int:
        """Samples of one step over all ranks."""
        return self.batch_size * self.micro_batches * self.data_parallel

    def first_row(self, micro: int) -> int:
        """Return the place in the global batch of the first row of this rank's micro-batch."""
        return (micro * self.data_parallel + self.data_parallel_rank) * self.batch_size

    def rows(self, micro: int) -> np.ndarray:
        """Return the places in the global batch of the rows of this rank's micro-batch, int64."""
        first = self.first_row(micro)
        return np.arange(first, first + self.batch_size, dtype=np.int64)


class TrainBatches:
    """Training batches; the batch of a step is computed from the step's number alone.

    The samples of the n-th global batch are the same in every layout with the same global batch
    size, and so are their masks.

    Args:
        store: the samples.
        order: their order.
        masking: which tokens are predicted.
        vocabulary: special tokens.
        layout: this rank's part.
        max_seq_length: L.
        seed: of the masks.
    """

    def __init__(
        self,
        store: TokenStore | PairStore,
        order: GlobalOrder,
        masking: MaskingSettings,
        vocabulary: VocabularyInfo,
        layout: BatchLayout,
        max_seq_length: int,
        seed: int,
    ) -> None:
        self._store = store
        self._order = order
        self._masking = masking
        self._vocabulary = vocabulary
        self.layout = layout
        self._max_seq_length = max_seq_length
        self._seed = seed

    def global_batch(self, step: int) -> list[MaskedBatch]:
        """Return this rank's micro-batches of global step ``step`` (from 0)."""
        begin = step * self.layout.global_batch_size
        return [
            self._micro_batch(step, begin + self.layout.first_row(micro))
            for micro in range(self.layout.micro_batches)
        ]

    def rows_in_global_batch(self, micro: int) -> np.ndarray:
        """Return the places of this rank's rows in the global batch, int64 [batch_size]."""
        return self.layout.rows(micro)

    def _micro_batch(self, step: int, place: int) -> MaskedBatch:
        sample_ids, epochs = self._order.at(place, self.layout.batch_size)
        return self._masked(step, sample_ids, epochs, self._max_seq_length, self._masking)

    def _masked(
        self,
        step: int,
        sample_ids: np.ndarray,
        epochs: np.ndarray,
        length: int,
        masking: MaskingSettings,
    ) -> MaskedBatch:
        """Return samples as masked rows of ``length`` tokens."""
        rows = MaskableRows(self._store, length, self._vocabulary, self._seed)
        return rows.masked(sample_ids, epochs, masking.at_step(step, length))


class EvalBatches:
    """Every evaluation sample once, always with the same 15 % of its tokens masked.

    Neither the training strategy nor any seed of the run changes these masks (and the pairs of
    documents), so results can be compared between runs.

    Args:
        store: the samples.
        vocabulary: special tokens.
        batch_size: rows; the last batch is filled up with rows of weight 0 and sample id -1.
        max_seq_length: L.
    """

    def __init__(
        self,
        store: TokenStore | PairStore,
        vocabulary: VocabularyInfo,
        batch_size: int,
        max_seq_length: int,
    ) -> None:
        self._store = store
        self._batch_size = batch_size
        self._rows = MaskableRows(store, max_seq_length, vocabulary, EVAL_MASK_SEED)

    def __len__(self) -> int:
        return -(-self._store.num_samples // self._batch_size)

    def __iter__(self) -> Iterator[MaskedBatch]:
        return map(self.batch, range(len(self)))

    def batch(self, number: int) -> MaskedBatch:
        """Return batch ``number``, 0 .. len - 1."""
        ids = np.arange(number * self._batch_size, (number + 1) * self._batch_size, dtype=np.int64)
        ids = np.where(ids < self._store.num_samples, ids, -1)
        return self._rows.masked(ids, np.zeros_like(ids), EVAL_MASKING)
