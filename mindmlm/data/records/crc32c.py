"""CRC-32C (Castagnoli; RFC 3720, appendix B.4) of many byte strings at once, in numpy."""

from collections.abc import Sequence

import numpy as np

_POLYNOMIAL = 0x82F63B78
_MASK_DELTA = 0xA282EAD8


def _byte_table() -> np.ndarray:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> np.uint32(1)) ^ np.uint32(_POLYNOMIAL), table >> 1)
    return table.astype(np.uint32)


_BYTE_TABLE = _byte_table()
_LOW = _BYTE_TABLE[np.arange(1 << 16) & 0xFF]
# What two bytes, read as one little-endian number, do to a zero register.
_PAIR_TABLE = _BYTE_TABLE[(_LOW ^ (np.arange(1 << 16) >> 8)) & 0xFF] ^ (_LOW >> np.uint32(8))


def crc32c(strings: Sequence[bytes]) -> np.ndarray:
    """Return the CRC-32C of every string, uint32.

    The strings advance together, two bytes a step, so many of similar length are fast.
    """
    lengths = np.array([len(string) for string in strings], np.int64)
    order = np.argsort(-lengths, kind="stable")
    pairs = -(-int(lengths.max(initial=0)) // 2)
    padded = b"".join(strings[place].ljust(2 * pairs, b"\0") for place in order.tolist())
    columns = np.ascontiguousarray(np.frombuffer(padded, "<u2").reshape(len(strings), pairs).T)
    register = np.full(len(strings), 0xFFFFFFFF, np.uint32)
    # The longest come first, so those that still have a pair at a step are a prefix.
    active = np.searchsorted(-(lengths[order] // 2), -np.arange(pairs), side="left")
    for column, count in zip(columns, active.tolist(), strict=True):
        part = register[:count]
        register[:count] = _PAIR_TABLE[(part ^ column[:count]) & 0xFFFF] ^ (part >> np.uint32(16))
    odd = np.flatnonzero(lengths[order] % 2)
    if len(odd):
        last = columns[lengths[order][odd] // 2, odd] & 0xFF
        part = register[odd]
        register[odd] = _BYTE_TABLE[(part ^ last) & 0xFF] ^ (part >> np.uint32(8))
    result = np.empty_like(register)
    result[order] = ~register
    return result


def masked_crc32c(strings: Sequence[bytes]) -> np.ndarray:
    """Return the checksums as TFRecord files hold them: rotated, and a constant added.

    As `tensorflow/core/lib/hash/crc32c.h`.
    """
    value = crc32c(strings)
    rotated = (value >> np.uint32(15)) | (value << np.uint32(17))
    return rotated + np.uint32(_MASK_DELTA)
