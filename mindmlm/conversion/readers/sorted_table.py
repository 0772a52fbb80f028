"""Sorted string tables, the format of TensorFlow's `.index` files.

As `tensorflow/core/lib/io/table_format.txt` (LevelDB's): blocks of sorted keys and values, an index
block that names them, and a footer of 48 bytes that names the index block. Every block has a
CRC-32C.
"""

from collections.abc import Iterator

from mindmlm.conversion.readers.protobuf import read_varint
from mindmlm.data.records.crc32c import masked_crc32c
from mindmlm.errors import CheckpointError

MAX_TABLE_BYTES = 64 * 2**20
_FOOTER_BYTES = 48
_TRAILER_BYTES = 5
_MAGIC = 0xDB4775248B80FB57


def read_table(data: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """Yield the keys of a table with their values, in order.

    Raises:
        CheckpointError: no such table, damaged, or compressed.
    """
    footer = data[-_FOOTER_BYTES:]
    if len(footer) < _FOOTER_BYTES or int.from_bytes(footer[-8:], "little") != _MAGIC:
        raise CheckpointError("this is no index of a TensorFlow checkpoint, or it is cut short")
    _, position = _handle(footer, 0)
    index, _ = _handle(footer, position)
    for _, handle in _entries(_block(data, *index)):
        block, _ = _handle(handle, 0)
        yield from _entries(_block(data, *block))


def _handle(data: memoryview, position: int) -> tuple[tuple[int, int], int]:
    offset, position = read_varint(data, position)
    size, position = read_varint(data, position)
    return (offset, size), position


def _block(data: memoryview, offset: int, size: int) -> memoryview:
    end = offset + size
    if end + _TRAILER_BYTES > len(data) - _FOOTER_BYTES:
        raise CheckpointError("damaged: a block would end behind the table")
    stored = int.from_bytes(data[end + 1 : end + _TRAILER_BYTES], "little")
    if int(masked_crc32c([bytes(data[offset : end + 1])])[0]) != stored:
        raise CheckpointError("damaged: the CRC-32C of a block is wrong")
    if data[end]:
        raise CheckpointError("the table is compressed, which TensorFlow's checkpoints are not")
    return data[offset:end]


def _entries(block: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """Yield the entries of a block, whose keys share their beginnings with the one before."""
    restarts = int.from_bytes(block[-4:], "little")
    end = len(block) - 4 - 4 * restarts
    if len(block) < 4 or end < 0:
        raise CheckpointError("damaged: a block has no end")
    key, position = b"", 0
    while position < end:
        shared, position = read_varint(block, position)
        unshared, position = read_varint(block, position)
        length, position = read_varint(block, position)
        if shared > len(key) or position + unshared + length > end:
            raise CheckpointError("damaged: an entry of a block is too long")
        key = key[:shared] + bytes(block[position : position + unshared])
        position += unshared
        yield key, block[position : position + length]
        position += length
