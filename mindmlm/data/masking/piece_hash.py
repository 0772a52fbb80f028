"""Look up sequences of tokens in a batch: a rolling hash of 64 bits."""

import hashlib
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from mindmlm.data.hashing import mix64

_BASE = 0x9E3779B97F4A7C15
_INVERSE = pow(_BASE, -1, 1 << 64)


@lru_cache(maxsize=8)
def _powers(base: int, count: int) -> np.ndarray:
    powers = np.full(count, base, np.uint64)
    powers[:1] = 1
    powers = np.cumprod(powers, dtype=np.uint64)
    powers.setflags(write=False)
    return powers


class RollingHash:
    """Hashes of all stretches of a sequence of tokens: a polynomial modulo 2**64.

    Args:
        ids: integers [n].
    """

    def __init__(self, ids: np.ndarray) -> None:
        size = 1 << max(4, len(ids).bit_length())
        self._sums = np.zeros(len(ids) + 1, np.uint64)
        np.cumsum(_terms(ids) * _powers(_BASE, size)[: len(ids)], out=self._sums[1:])
        self._inverse = _powers(_INVERSE, size)

    def of_all(self, length: int) -> np.ndarray:
        """Return uint64 [n - length + 1], the hashes of all stretches of ``length`` tokens."""
        count = len(self._sums) - length
        return (self._sums[length:] - self._sums[:count]) * self._inverse[:count]


def hashes_of(ids: np.ndarray, begin: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Return uint64 [w], what `RollingHash` gives for stretches of ``ids``.

    Args:
        ids: integers.
        begin: int64 [w].
        size: int64 [w], at least 1.
    """
    if not len(size):
        return np.zeros(0, np.uint64)
    last = np.cumsum(size)
    offset = np.arange(last[-1]) - np.repeat(last - size, size)
    powers = _powers(_BASE, 1 << int(size.max()).bit_length())
    terms = _terms(ids.take(np.repeat(begin, size) + offset)) * powers.take(offset)
    return np.add.reduceat(terms, last - size)


def hash_of(ids: np.ndarray) -> int:
    """Return the hash of a whole sequence."""
    return int(hashes_of(ids, np.zeros(1, np.int64), np.array([len(ids)]))[0])


def _terms(ids: np.ndarray) -> np.ndarray:
    return mix64(ids.astype(np.uint64) + np.uint64(1))


def fingerprint_of(arrays: Sequence[np.ndarray]) -> str:
    """Return a hexadecimal digest of arrays, their types and lengths."""
    digest = hashlib.blake2b(digest_size=16)
    for values in arrays:
        digest.update(f"{values.dtype.str}{values.shape}".encode())
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()
