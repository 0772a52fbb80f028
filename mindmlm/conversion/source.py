"""What every reader hands out: the names, types and shapes of tensors, and each one on request."""

import mmap
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from mindmlm.errors import CheckpointError

BFLOAT16 = "bfloat16"  # numpy has no such type; readers widen it to float32, which is exact
NUMPY_TYPES = frozenset(
    {
        "float64", "float32", "float16", "int64", "int32", "int16", "int8",
        "uint64", "uint32", "uint16", "uint8", "bool",
    }
)  # fmt: skip


@dataclass(frozen=True)
class TensorInfo:
    """Type (numpy's name, or bfloat16) and shape of a tensor as it is stored."""

    dtype: str
    shape: tuple[int, ...]


class TensorSource(Protocol):
    """A checkpoint of any format, open for reading."""

    @property
    def path(self) -> Path:
        """Where it lies."""
        ...

    @property
    def format(self) -> str:
        """Name of the format, for people."""
        ...

    @property
    def tensors(self) -> Mapping[str, TensorInfo]:
        """What is in it, under the names of the format."""
        ...

    def read(self, name: str) -> np.ndarray:
        """Return a tensor, bfloat16 as float32; it may be a read-only view of the file.

        Raises:
            CheckpointError: its bytes do not have the checksum that the file gives for them.
        """
        ...


class MappedFile:
    """A file in memory without a copy: its pages are read when they are looked at.

    Raises:
        CheckpointError: missing, empty or not a regular file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError as error:
            raise CheckpointError(f"{path}: cannot be opened: {error.strerror}") from None
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise CheckpointError(f"{path}: not a regular file")
            if not status.st_size:
                raise CheckpointError(f"{path}: the file is empty")
            self.size = status.st_size
            self.map = mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)
        finally:
            os.close(descriptor)
        self.view = memoryview(self.map)

    def bytes_at(self, offset: int, length: int, what: str) -> memoryview:
        """Return a view of ``length`` bytes.

        Raises:
            CheckpointError: they lie beyond the end of the file; ``what`` is named.
        """
        if offset < 0 or length < 0 or offset + length > self.size:
            raise CheckpointError(
                f"{self.path}: cut short or damaged: {what} would end at byte {offset + length}, "
                f"the file has {self.size}"
            )
        return self.view[offset : offset + length]


def decode(data: memoryview | bytes, info: TensorInfo) -> np.ndarray:
    """Return little-endian bytes as an array of ``info.shape``, bfloat16 as float32.

    A view of ``data`` where the type is numpy's own; ``data`` has exactly the right length.
    """
    if info.dtype == BFLOAT16:
        # The upper half of a float32.
        wide = np.frombuffer(data, "<u2").astype(np.uint32) << np.uint32(16)
        return wide.view(np.float32).reshape(info.shape)
    dtype = np.dtype(info.dtype).newbyteorder("<")
    return np.frombuffer(data, dtype).reshape(info.shape)


def item_size(dtype: str) -> int:
    """Return the bytes of one element."""
    return 2 if dtype == BFLOAT16 else np.dtype(dtype).itemsize
