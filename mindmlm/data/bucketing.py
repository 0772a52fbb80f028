"""Length bucketing: each batch holds samples of similar length, padded to one of a few lengths."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from mindmlm.data.batches import BatchLayout, TrainBatches
from mindmlm.data.masking import MaskedBatch, MaskingSettings, VocabularyInfo
from mindmlm.data.sampler import GlobalOrder
from mindmlm.data.store import TokenStore
from mindmlm.runtime.files import atomic_file

_CHUNK = 1 << 20
_BATCH_SEED_OFFSET = 0x6275636B
_SPECIAL_TOKENS = 2


class BucketIndex:
    """The samples of each bucket, in a file beside the store.

    Args:
        store: the samples.
        lengths: rows of a bucket have so many tokens, ascending; a sample belongs to the first
            that holds it with [CLS] and [SEP], or to the last.

    Attributes:
        sizes: samples of each bucket.
    """

    def __init__(self, store: TokenStore, lengths: Sequence[int]) -> None:
        name = "-".join(map(str, lengths))
        path = store.path / f"buckets-{name}.bin"
        self.sizes = _bucket_sizes(store, lengths)
        if not path.exists() or path.stat().st_size != 8 * store.num_samples:
            _write_index(path, store, lengths, self.sizes)
        self._ids = np.memmap(path, np.dtype("<i8"), "r")
        self._first = np.cumsum(self.sizes) - self.sizes

    def sample_ids(self, bucket: int, numbers: np.ndarray) -> np.ndarray:
        """Return the sample ids of places within a bucket."""
        return np.asarray(self._ids[self._first[bucket] + numbers])


class BucketSchedule:
    """Which bucket each global batch comes from: a function of the step, in constant memory.

    Every bucket is an endless stream of its samples, epoch after epoch. Epoch e of the run takes
    from each bucket the batches that complete its e-th pass, in an order drawn anew.

    Args:
        sizes: samples of each bucket.
        global_batch_size: G.
        seed: any integer.
        shuffle: False takes the buckets one after the other.
    """

    def __init__(
        self, sizes: Sequence[int], global_batch_size: int, seed: int, shuffle: bool = True
    ) -> None:
        self._sizes = [int(size) for size in sizes]
        self._batch = global_batch_size
        self._seed = seed + _BATCH_SEED_OFFSET
        self._shuffle = shuffle

    def steps_before(self, epoch: int) -> int:
        """Return the number of batches of all epochs before ``epoch``."""
        return sum(self._batches(size, epoch) for size in self._sizes)

    def at(self, step: int) -> tuple[int, int]:
        """Return (bucket, place of the batch's first sample in the stream of that bucket)."""
        epoch = step * self._batch // sum(self._sizes)
        while self.steps_before(epoch) > step:
            epoch -= 1
        while self.steps_before(epoch + 1) <= step:
            epoch += 1
        first = self.steps_before(epoch)
        count = self.steps_before(epoch + 1) - first
        order = GlobalOrder(count, self._seed, self._shuffle)
        slot = int(order.at(epoch * count + step - first, 1)[0][0])
        for bucket, size in enumerate(self._sizes):
            before = self._batches(size, epoch)
            batches = self._batches(size, epoch + 1) - before
            if slot < batches:
                return bucket, (before + slot) * self._batch
            slot -= batches
        raise AssertionError("a slot beyond the last bucket")

    def _batches(self, size: int, epochs: int) -> int:
        return -(-size * epochs // self._batch)


class BucketedBatches(TrainBatches):
    """Training batches of one bucket each; a global batch has one length on all ranks.

    As `TrainBatches`, the samples and masks of a step depend on the step and the global batch
    size only. The predictions of a row shrink with its length.

    Args:
        store, masking, vocabulary, layout, seed: see `TrainBatches`.
        lengths: row lengths of the buckets, ascending; the last one is ``max_seq_length``.
        shuffle: see `GlobalOrder`.
    """

    def __init__(
        self,
        store: TokenStore,
        masking: MaskingSettings,
        vocabulary: VocabularyInfo,
        layout: BatchLayout,
        lengths: Sequence[int],
        seed: int,
        shuffle: bool = True,
    ) -> None:
        order = GlobalOrder(store.num_samples, seed, shuffle)
        super().__init__(store, order, masking, vocabulary, layout, lengths[-1], seed)
        self._lengths = list(lengths)
        self._index = BucketIndex(store, lengths)
        self._schedule = BucketSchedule(
            self._index.sizes.tolist(), layout.global_batch_size, seed, shuffle
        )
        self._orders = [
            GlobalOrder(max(1, int(size)), seed + 1 + bucket, shuffle)
            for bucket, size in enumerate(self._index.sizes)
        ]

    def _micro_batch(self, step: int, place: int) -> MaskedBatch:
        bucket, start = self._schedule.at(step)
        within = place - step * self.layout.global_batch_size
        numbers, epochs = self._orders[bucket].at(start + within, self.layout.batch_size)
        length = self._lengths[bucket]
        ids = self._index.sample_ids(bucket, numbers)
        return self._masked(step, ids, epochs, length, self._masking_of(length))

    def _masking_of(self, length: int) -> MaskingSettings:
        given = self._masking.max_predictions_per_seq
        if given is None:
            return self._masking
        share = -(-given * length // self._lengths[-1])
        return replace(self._masking, max_predictions_per_seq=share)


def _bucket_sizes(store: TokenStore, lengths: Sequence[int]) -> np.ndarray:
    sizes = np.zeros(len(lengths), np.int64)
    for _, buckets in _chunks(store, lengths):
        sizes += np.bincount(buckets, minlength=len(lengths))
    return sizes


def _chunks(store: TokenStore, lengths: Sequence[int]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield sample ids with the bucket of each."""
    borders = np.array(lengths[:-1]) - _SPECIAL_TOKENS
    for begin in range(0, store.num_samples, _CHUNK):
        ids = np.arange(begin, min(begin + _CHUNK, store.num_samples))
        yield ids, np.searchsorted(borders, store.lengths(ids), side="left")


def _write_index(path: Path, store: TokenStore, lengths: Sequence[int], sizes: np.ndarray) -> None:
    nexts = (np.cumsum(sizes) - sizes) * 8
    with atomic_file(path) as file:
        os.ftruncate(file.fileno(), 8 * store.num_samples)
        for ids, buckets in _chunks(store, lengths):
            for bucket in range(len(lengths)):
                data = ids[buckets == bucket].astype("<i8").tobytes()
                file.seek(int(nexts[bucket]))
                file.write(data)
                nexts[bucket] += len(data)
