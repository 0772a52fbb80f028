"""MindSpore's `.ckpt`: a protocol-buffer message with one entry a tensor, read without MindSpore.

Message (`mindspore/ccsrc/utils/checkpoint.proto`): Checkpoint {repeated Value value = 1}, Value
{tag = 1; tensor = 2}, TensorProto {repeated int64 dims = 1; tensor_type = 2; tensor_content = 3}.
A tensor above 512 MB is divided into entries of one tag, each with the dims of the whole. A file
saved with `crc_check` ends with `crc_num` and the CRC-32 of everything before, ten bytes.
"""

import math
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mindmlm.conversion.readers.protobuf import fields, message, number, text
from mindmlm.conversion.source import BFLOAT16, MappedFile, TensorInfo, decode, item_size
from mindmlm.errors import CheckpointError

FORMAT = "mindspore"
CRC_MARK = b"crc_num"
CRC_BYTES = 10
TYPES = {
    "Float64": "float64",
    "Float32": "float32",
    "Float16": "float16",
    "BFloat16": BFLOAT16,
    "Int64": "int64",
    "Int32": "int32",
    "Int16": "int16",
    "Int8": "int8",
    "UInt64": "uint64",
    "UInt32": "uint32",
    "UInt16": "uint16",
    "UInt8": "uint8",
    "Bool": "bool",
}
_MAX_TENSORS = 1_000_000
_CHUNK_BYTES = 8 * 2**20


@dataclass
class _Stored:
    """A tensor as it is stored: its type and shape, and its bytes in one piece or several."""

    kind: str
    shape: tuple[int, ...]
    pieces: list[memoryview] = field(default_factory=list)


class MindSporeFile:
    """A `.ckpt` of `mindspore.save_checkpoint`, unencrypted.

    `texts` lists the entries that hold a text or a map instead of a tensor.

    Raises:
        CheckpointError: damaged, encrypted, or with a type that numpy has no place for.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.format = FORMAT
        self._file = MappedFile(path)
        self.texts: list[str] = []
        self._stored: dict[str, _Stored] = {}
        try:
            self._parse(self._content())
        except CheckpointError as error:
            raise CheckpointError(
                f"{path}: not a whole MindSpore checkpoint (encrypted ones are not read): {error}"
            ) from None
        if not self._stored:
            raise CheckpointError(f"{path}: holds no tensors")
        self.tensors = {
            name: TensorInfo(TYPES[stored.kind], stored.shape)
            for name, stored in self._stored.items()
        }

    def _content(self) -> memoryview:
        """Return the message without the checksum, which is verified."""
        view = self._file.view
        end = len(view) - CRC_BYTES - len(CRC_MARK)
        if end < 0 or bytes(view[end : end + len(CRC_MARK)]) != CRC_MARK:
            return view
        expected = int.from_bytes(view[end + len(CRC_MARK) :], "big")
        value = 0
        for start in range(0, end, _CHUNK_BYTES):
            value = zlib.crc32(view[start : min(end, start + _CHUNK_BYTES)], value)
        if value != expected:
            raise CheckpointError("damaged: its CRC-32 is not the one at its end")
        return view[:end]

    def _parse(self, content: memoryview) -> None:
        previous = ""
        for place, _, value in fields(content):
            if place != 1:
                raise CheckpointError(f"field {place} is unknown")
            previous = self._add(message(value), previous)
            if len(self._stored) > _MAX_TENSORS:
                raise CheckpointError("more than a million tensors")
        for name, stored in self._stored.items():
            size = sum(len(piece) for piece in stored.pieces)
            if size != math.prod(stored.shape) * item_size(TYPES[stored.kind]):
                raise CheckpointError(
                    f"tensor {name} has {size} bytes, not those of {list(stored.shape)} x "
                    f"{stored.kind}"
                )

    def _add(self, value: memoryview, previous: str) -> str:
        tag, tensor = "", None
        for place, _, part in fields(value):
            if place == 1:
                tag = text(part)
            elif place == 2:
                tensor = message(part)
        if tensor is None:
            self.texts.append(tag)
            return tag
        stored, piece = _tensor(tag, tensor)
        if stored.kind == "str":
            self.texts.append(tag)
            return tag
        known = self._stored.setdefault(tag, stored)
        if known is not stored and (tag != previous or (known.kind, known.shape) != (
            stored.kind, stored.shape
        )):  # fmt: skip
            raise CheckpointError(f"tensor {tag} stands twice")
        known.pieces.append(piece)
        return tag

    def read(self, name: str) -> np.ndarray:
        """Return a tensor; see `TensorSource`."""
        pieces = self._stored[name].pieces
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        return decode(data, self.tensors[name])


def _tensor(tag: str, data: memoryview) -> tuple[_Stored, memoryview]:
    shape: list[int] = []
    kind, content = "", memoryview(b"")
    for place, _, value in fields(data):
        if place == 1 and isinstance(value, memoryview):  # a packed list, as newer writers may do
            raise CheckpointError(f"tensor {tag} has its shape in an unknown form")
        if place == 1:
            shape.append(number(value))
        elif place == 2:
            kind = text(value)
        elif place == 3:
            content = message(value)
    if kind not in TYPES and kind != "str":
        raise CheckpointError(f"tensor {tag} has the type {kind!r}, which cannot be converted")
    # MindSpore writes a scalar as [0] or [1], and reads [0] as a scalar.
    return _Stored(kind, () if shape == [0] and len(content) else tuple(shape)), content
