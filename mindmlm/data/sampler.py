"""The order of samples: a function of seed and epoch, in constant memory."""

import math

import numpy as np

from mindmlm.data.hashing import derive_keys, random_bits, to_range

_ROUNDS = 8
# Places that are computed ahead: so many at once cost little more than those of one batch.
_AHEAD = 4096
_ORDER_SEED_OFFSET = 0x6F72646572


class GlobalOrder:
    """An endless stream of sample ids: every epoch is a permutation of all of them.

    The permutation is a Feistel network over a grid of about sqrt(n) x sqrt(n) cells, with
    additions modulo the sides (Black and Rogaway, 2002, "Ciphers with arbitrary finite
    domains"); the few cells beyond n are left by walking the cycle. Any part of the order is
    computed directly, so resuming costs nothing.

    Args:
        num_samples: n, at least 1 and below 2**62.
        seed: any integer.
        shuffle: False gives 0 .. n-1 in every epoch.

    Raises:
        ValueError: ``num_samples`` is below 1.
    """

    def __init__(self, num_samples: int, seed: int, shuffle: bool = True) -> None:
        if num_samples < 1:
            raise ValueError(f"an order needs at least one sample, not {num_samples}")
        self.num_samples = num_samples
        self.seed = seed
        self.shuffle = shuffle
        self._rows = math.isqrt(num_samples - 1) + 1
        self._columns = -(-num_samples // self._rows)
        # First place, sample ids, epochs.
        self._known = (0, np.zeros(0, np.int64), np.zeros(0, np.int64))

    def at(self, start: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Return (sample ids, epochs), int64 [count], of places ``start`` .. of the stream.

        The epoch of a place is ``place // num_samples``; a range may span several epochs.
        """
        first, samples, epochs = self._known
        if not first <= start <= start + count <= first + len(samples):
            samples, epochs = self._computed(start, max(count, _AHEAD))
            first, self._known = start, (start, samples, epochs)
        here = slice(start - first, start - first + count)
        return samples[here].copy(), epochs[here].copy()

    def _computed(self, start: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        places = np.arange(start, start + count, dtype=np.int64)
        epochs, within = np.divmod(places, self.num_samples)
        if not self.shuffle or self.num_samples == 1:
            return within, epochs
        return self._permute(within, epochs), epochs

    def _permute(self, values: np.ndarray, epochs: np.ndarray) -> np.ndarray:
        keys = derive_keys(self.seed + _ORDER_SEED_OFFSET, epochs)
        values = self._encrypt(values, keys)
        outside = np.flatnonzero(values >= self.num_samples)
        while outside.size:
            values[outside] = self._encrypt(values[outside], keys[outside])
            outside = outside[values[outside] >= self.num_samples]
        return values

    def _encrypt(self, values: np.ndarray, keys: np.ndarray) -> np.ndarray:
        row, column = np.divmod(values, self._columns)
        for number in range(0, _ROUNDS, 2):
            row = (row + to_range(random_bits(keys, number, column), self._rows)) % self._rows
            column = (
                column + to_range(random_bits(keys, number + 1, row), self._columns)
            ) % self._columns
        return row * self._columns + column
