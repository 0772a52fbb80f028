"""TensorFlow checkpoints (`X.index`, `X.data-00000-of-00001`), read without TensorFlow.

As `tensorflow/core/util/tensor_bundle/tensor_bundle.h`: the index is a sorted table of names to
`BundleEntryProto` {dtype = 1, shape = 2, shard_id = 3, offset = 4, size = 5, crc32c = 6, slices =
7} with a `BundleHeaderProto` {num_shards = 1, endianness = 2} under the empty name. Google's BERT
files and everything that `tf.train.Saver` has written since TensorFlow 0.12 are of this form.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mindmlm.conversion.checksums import crc32c_of
from mindmlm.conversion.readers.protobuf import fields, message, number
from mindmlm.conversion.readers.sorted_table import MAX_TABLE_BYTES, read_table
from mindmlm.conversion.source import BFLOAT16, MappedFile, TensorInfo, decode, item_size
from mindmlm.errors import CheckpointError

FORMAT = "tensorflow"
INDEX_SUFFIX = ".index"
# tensorflow/core/framework/types.proto
_TYPES = {
    1: "float32",
    2: "float64",
    3: "int32",
    4: "uint8",
    5: "int16",
    6: "int8",
    9: "int64",
    10: "bool",
    14: BFLOAT16,
    19: "float16",
}
_MAX_SHARDS = 10_000
_MASK_DELTA = 0xA282EAD8


@dataclass(frozen=True)
class _Entry:
    kind: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    checksum: int


class TensorFlowCheckpoint:
    """A checkpoint of TensorFlow 1 or 2; ``path`` is its prefix or its `.index` file.

    `texts` lists the entries that are no numbers (the object graph of TensorFlow 2).

    Raises:
        CheckpointError: the index is damaged, or a data file is missing or too short.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.format = FORMAT
        self._prefix = str(path).removesuffix(INDEX_SUFFIX)
        index = MappedFile(Path(self._prefix + INDEX_SUFFIX))
        if index.size > MAX_TABLE_BYTES:
            raise CheckpointError(f"{index.path}: larger than 64 MB; this is no index")
        self.texts: list[str] = []
        self._entries: dict[str, _Entry] = {}
        self._files: dict[int, MappedFile] = {}
        try:
            self._read_index(index.view)
        except CheckpointError as error:
            raise CheckpointError(f"{index.path}: {error}") from None
        self.tensors = {
            name: TensorInfo(_TYPES[entry.kind], entry.shape)
            for name, entry in self._entries.items()
        }
        for name, entry in self._entries.items():
            self._data(name, entry)

    def _read_index(self, data: memoryview) -> None:
        self.shards = 0
        for key, value in read_table(data):
            if not key:
                self.shards = _read_header(value)
                continue
            name = key.decode("utf-8", errors="replace")
            entry = _read_entry(name, value)
            if entry.kind in _TYPES:
                self._entries[name] = entry
            else:
                self.texts.append(name)
        if not self.shards or not self._entries:
            raise CheckpointError("it lists no tensors")

    def _data(self, name: str, entry: _Entry) -> memoryview:
        if entry.shard not in self._files:
            if not 0 <= entry.shard < self.shards:
                raise CheckpointError(f"{self._prefix}: {name} lies in data file {entry.shard}")
            suffix = f".data-{entry.shard:05d}-of-{self.shards:05d}"
            self._files[entry.shard] = MappedFile(Path(self._prefix + suffix))
        return self._files[entry.shard].bytes_at(entry.offset, entry.size, name)

    def read(self, name: str) -> np.ndarray:
        """Return a tensor; see `TensorSource`."""
        entry = self._entries[name]
        data = self._data(name, entry)
        value = crc32c_of(data)
        masked = (((value >> 15) | (value << 17)) + _MASK_DELTA) & 0xFFFFFFFF
        if masked != entry.checksum:
            raise CheckpointError(
                f"{self._files[entry.shard].path}: {name} is damaged: its CRC-32C is not the "
                "one in the index"
            )
        return decode(data, self.tensors[name])


def _read_header(data: memoryview) -> int:
    """Return the number of data files."""
    shards = 0
    for place, _, value in fields(data):
        if place == 1:
            shards = number(value)
        elif place == 2 and number(value):
            raise CheckpointError("written on a big-endian machine, which is not supported")
    if not 1 <= shards <= _MAX_SHARDS:
        raise CheckpointError(f"damaged: {shards} data files")
    return shards


def _read_entry(name: str, data: memoryview) -> _Entry:
    found = dict.fromkeys((1, 3, 4, 5, 6), 0)
    shape: tuple[int, ...] = ()
    for place, _, value in fields(data):
        if place in found:
            found[place] = number(value)
        elif place == 2:
            shape = _read_shape(message(value))
        elif place == 7:
            raise CheckpointError(
                f"{name} is stored in slices (a partitioned variable); save it whole in TensorFlow"
            )
    entry = _Entry(found[1], shape, found[3], found[4], found[5], found[6])
    kind = _TYPES.get(entry.kind)
    if kind and entry.size != math.prod(shape) * item_size(kind):
        raise CheckpointError(f"{name}: {entry.size} bytes are not those of {list(shape)} x {kind}")
    return entry


def _read_shape(data: memoryview) -> tuple[int, ...]:
    sizes = []
    for place, _, value in fields(data):
        if place == 2:
            # A dimension of size 0 leaves its field out.
            size = next((number(part) for at, _, part in fields(message(value)) if at == 1), 0)
            sizes.append(size)
        elif place == 3 and number(value):
            raise CheckpointError("a tensor has no known rank")
    if any(size >= 2**48 for size in sizes):
        raise CheckpointError("a tensor is larger than any memory")
    return tuple(sizes)
