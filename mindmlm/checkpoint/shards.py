"""Shards: safetensors files that one process writes, hashed while they are written.

File format: eight bytes of header length, a JSON header, the tensors' bytes one after the other
(https://huggingface.co/docs/safetensors). The library's own writer copies every tensor once in
memory and leaves the hash to a second pass over the file; this one does neither.
"""

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import numpy as np

from mindmlm.checkpoint.manifest import FileRecord, SliceRecord
from mindmlm.runtime.files import new_file

CHUNK_BYTES = 4 * 2**20

# numpy's name -> the name in a safetensors header.
SAFETENSORS_DTYPES = {
    "float64": "F64",
    "float32": "F32",
    "float16": "F16",
    "int64": "I64",
    "int32": "I32",
    "int16": "I16",
    "int8": "I8",
    "uint64": "U64",
    "uint32": "U32",
    "uint16": "U16",
    "uint8": "U8",
    "bool": "BOOL",
}


@dataclass(frozen=True)
class Placement:
    """Where a rank's block lies in the whole tensor: the whole shape and the block's start."""

    shape: tuple[int, ...]
    start: tuple[int, ...]


@dataclass(frozen=True)
class StoredSlice:
    """One block of one tensor as stored: numpy's type name, the whole shape, the block."""

    dtype: str
    shape: tuple[int, ...]
    slice: SliceRecord


@dataclass(frozen=True)
class Shard:
    """A shard on the disk and what it holds: all that the committing process has to know."""

    group: str
    file: str
    record: FileRecord
    slices: dict[str, StoredSlice]


def write_shard(
    folder: Path,
    group: str,
    tensors: Mapping[str, np.ndarray],
    rank: int = 0,
    placements: Mapping[str, Placement] | None = None,
) -> Shard:
    """Write ``group.rank_NNNNN.safetensors`` into ``folder`` and synchronise it.

    Args:
        folder: the temporary folder made by `begin_checkpoint`.
        group: name of the group, such as ``model`` or ``optimizer``.
        tensors: this rank's arrays by name, of any numpy type in `SAFETENSORS_DTYPES`.
        rank: number of this process.
        placements: where the arrays lie in their tensors; an array not named there is whole.

    Raises:
        ValueError: an array's type has no place in the format.
        OSError: the file cannot be written.
    """
    file = f"{group}.rank_{rank:05d}.safetensors"
    record = write_safetensors(folder / file, tensors)
    slices = {}
    for name, array in tensors.items():
        whole = Placement(shape=array.shape, start=(0,) * array.ndim)
        placement = (placements or {}).get(name, whole)
        block = SliceRecord(file=file, start=list(placement.start), shape=list(array.shape))
        slices[name] = StoredSlice(array.dtype.name, placement.shape, block)
    return Shard(group=group, file=file, record=record, slices=slices)


@dataclass(frozen=True)
class TensorSpec:
    """Type (a key of `SAFETENSORS_DTYPES`) and shape of a tensor that is yet to be written."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize


def write_safetensors(path: Path, tensors: Mapping[str, np.ndarray]) -> FileRecord:
    """Write arrays to a new safetensors file; see `stream_safetensors`."""
    specs = {name: TensorSpec(array.dtype.name, array.shape) for name, array in tensors.items()}
    return stream_safetensors(path, specs, lambda name: tensors[name])


def stream_safetensors(
    path: Path,
    specs: Mapping[str, TensorSpec],
    read: Callable[[str], np.ndarray],
    metadata: Mapping[str, str] | None = None,
) -> FileRecord:
    """Write tensors one by one to a new safetensors file, synchronise it.

    Memory: what ``read`` returns for a tensor and the next one, and a copy of the first if it is
    not C-contiguous and little-endian.

    Args:
        path: the file, which must not exist.
        specs: what is written.
        read: returns the tensor of a name, of the type and shape of its spec.
        metadata: texts for the header's ``__metadata__``.

    Returns:
        Size and SHA-256 of the file.

    Raises:
        ValueError: a type has no place in the format, or ``read`` returns something else.
        OSError: the file exists or cannot be written.
    """
    # Wide types first, as the library does: every tensor is aligned to its own width.
    names = sorted(specs, key=lambda name: (-np.dtype(specs[name].dtype).itemsize, name))
    header = _header({name: specs[name] for name in names}, metadata)
    digest = hashlib.sha256(header)
    size = len(header)
    # Reading the next tensor and hashing this one go on while it is written.
    with (
        ThreadPoolExecutor(max_workers=1) as hasher,
        ThreadPoolExecutor(max_workers=1) as reader,
        new_file(path) as file,
    ):
        file.write(header)
        upcoming = [reader.submit(read, name) for name in names[:1]]
        for name, following in zip_longest(names, names[1:]):
            array = upcoming.pop().result()
            if following is not None:
                upcoming.append(reader.submit(read, following))
            if (array.dtype.name, array.shape) != (specs[name].dtype, specs[name].shape):
                raise ValueError(f"tensor {name}: {array.dtype} {array.shape} is not {specs[name]}")
            view = little_endian_bytes(array)
            size += len(view)
            hashed = hasher.submit(digest.update, view)
            for start in range(0, len(view), CHUNK_BYTES):
                file.write(view[start : start + CHUNK_BYTES])
            hashed.result()
    return FileRecord(sha256=digest.hexdigest(), size=size)


def _header(specs: Mapping[str, TensorSpec], metadata: Mapping[str, str] | None) -> bytes:
    entries: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
    offset = 0
    for name, spec in specs.items():
        if spec.dtype not in SAFETENSORS_DTYPES:
            raise ValueError(f"tensor {name}: type {spec.dtype} cannot be stored in safetensors")
        end = offset + spec.nbytes
        entries[name] = {
            "dtype": SAFETENSORS_DTYPES[spec.dtype],
            "shape": list(spec.shape),
            "data_offsets": [offset, end],
        }
        offset = end
    text = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode("utf-8")
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def little_endian_bytes(array: np.ndarray) -> memoryview:
    """Return the elements of ``array`` in C order, little-endian, as a flat view of bytes."""
    ordered = np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C")
    return ordered.reshape(-1).view(np.uint8).data
