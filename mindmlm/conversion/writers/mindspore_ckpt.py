"""MindSpore's `.ckpt`, which `mindspore.load_checkpoint` reads; written without MindSpore.

The format is described in `readers/mindspore_ckpt.py`. The file ends with its CRC-32, as with
`save_checkpoint(crc_check=True)`; MindSpore 2.1 and later know it.
"""

import zlib
from pathlib import Path

from mindmlm.checkpoint.shards import little_endian_bytes
from mindmlm.conversion.converted_model import Exported
from mindmlm.conversion.readers.mindspore_ckpt import CRC_BYTES, CRC_MARK, TYPES
from mindmlm.runtime.files import new_file

# Larger tensors are divided, as MindSpore does: a message of protocol buffers ends at 2 GB.
PIECE_BYTES = 512 * 2**20
_CODES = {name: code for code, name in TYPES.items()}


def write_mindspore(path: Path, tensors: Exported) -> None:
    """Write tensors one by one to the new file ``path`` and synchronise it.

    Raises:
        OSError: it exists or cannot be written.
    """
    value = 0
    with new_file(path) as file:
        for name, array in tensors.items():
            content = little_endian_bytes(array)
            for start in range(0, max(1, len(content)), PIECE_BYTES):
                piece = content[start : start + PIECE_BYTES]
                head = _head(name, _CODES[array.dtype.name], array.shape, len(piece))
                for data in (head, piece):
                    value = zlib.crc32(data, value)
                    file.write(data)
        file.write(CRC_MARK + value.to_bytes(CRC_BYTES, "big"))


def _head(name: str, code: str, shape: tuple[int, ...], length: int) -> bytes:
    """Return everything of an entry up to the ``length`` bytes of the tensor."""
    # MindSpore reads a scalar from the shape [0].
    sizes = b"".join(b"\x08" + _varint(size) for size in shape or (0,))
    tensor = sizes + _field(2, code.encode()) + b"\x1a" + _varint(length)
    value = _field(1, name.encode("utf-8")) + b"\x12" + _varint(len(tensor) + length) + tensor
    return b"\x0a" + _varint(len(value) + length) + value


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])
