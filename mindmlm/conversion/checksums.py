"""CRC-32C of one large piece of memory, joined from the checksums of its parts."""

from functools import cache

import numpy as np

from mindmlm.data.records.crc32c import crc32c

_POLYNOMIAL = 0x82F63B78
_PART_BYTES = 512
_PARTS = 2**13


def crc32c_of(data: memoryview) -> int:
    """Return the CRC-32C of ``data``; memory: about 16 MB whatever its size."""
    value, done = 0, 0
    while len(data) - done >= _PART_BYTES:
        # A power of two of parts, so that they can be joined in pairs.
        parts = min(_PARTS, 1 << (((len(data) - done) // _PART_BYTES).bit_length() - 1))
        length = parts * _PART_BYTES
        block = bytes(data[done : done + length])
        views = [block[at : at + _PART_BYTES] for at in range(0, length, _PART_BYTES)]
        value = _join(value, _join_all(crc32c(views)), length)
        done += length
    rest = bytes(data[done:])
    return _join(value, int(crc32c([rest])[0]), len(rest)) if rest else value


def _join_all(values: np.ndarray) -> int:
    """Join the checksums of neighbouring parts of `_PART_BYTES` each, pair by pair."""
    length = _PART_BYTES
    while len(values) > 1:
        values = _apply(_zeros(length), values[::2]) ^ values[1::2]
        length *= 2
    return int(values[0])


def _join(first: int, second: int, length: int) -> int:
    """Checksum of two pieces from their own; ``length`` is that of the second in bytes.

    As `crc32_combine` of zlib: a checksum is linear over GF(2), so bytes that follow act on it as
    a matrix, and a longer run of bytes is the product of shorter ones.
    """
    value = np.array([first], np.uint32)
    step = 1
    while length:
        if length & 1:
            value = _apply(_zeros(step), value)
        length >>= 1
        step *= 2
    return int(value[0]) ^ second


@cache
def _zeros(length: int) -> np.ndarray:
    """What ``length`` zero bytes (a power of two) do to each of the 32 bits, uint32 [32]."""
    if length > 1:
        half = _zeros(length // 2)
        return _apply(half, half)
    columns = np.uint32(1) << np.arange(32, dtype=np.uint32)
    for _ in range(8):
        columns = np.where(columns & 1, (columns >> 1) ^ np.uint32(_POLYNOMIAL), columns >> 1)
    return columns.astype(np.uint32)


def _apply(matrix: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Multiply a matrix over GF(2) with each value."""
    result = np.zeros_like(values)
    for bit in range(32):
        result ^= np.where((values >> np.uint32(bit)) & np.uint32(1), matrix[bit], np.uint32(0))
    return result
