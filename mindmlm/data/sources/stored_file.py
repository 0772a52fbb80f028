"""Files by name and contents, wherever they are stored."""

import io
import os
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from mindmlm.errors import DataError


class StoredFile(ABC):
    """A file that can be opened any number of times."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Path or address, as messages show it."""

    @property
    def base_name(self) -> str:
        """The last part of the name."""
        return self.name.rstrip("/").rpartition("/")[2]

    @abstractmethod
    def size(self) -> int:
        """Return the bytes stored."""

    @abstractmethod
    def identity(self) -> list[Any]:
        """Return JSON values that change when the contents do."""

    @abstractmethod
    def open(self) -> BinaryIO:
        """Open for reading; the stream can seek, and fails with OSError only.

        Raises:
            OSError: the file cannot be opened.
        """


@dataclass(frozen=True)
class LocalFile(StoredFile):
    """A file of this machine."""

    path: Path

    @property
    def name(self) -> str:
        """The path as it was given."""
        return str(self.path)

    def size(self) -> int:
        """Return the bytes stored."""
        return self._stat().st_size

    def identity(self) -> list[Any]:
        """Return path, size and time of change."""
        stat = self._stat()
        return [str(self.path.resolve()), stat.st_size, stat.st_mtime_ns]

    def open(self) -> BinaryIO:
        """Open for reading."""
        return self.path.open("rb")

    def _stat(self) -> os.stat_result:
        try:
            return self.path.stat()
        except OSError as error:
            raise DataError(f"{self.path}: cannot read the text: {error.strerror}") from None


@dataclass(frozen=True)
class SpooledFile(StoredFile):
    """Contents of a pipe, kept in a file that has no name.

    Attributes:
        file: open for reading; the kernel frees its blocks when the process ends, however.
        digest: of the contents.
    """

    file: BinaryIO
    digest: str

    @property
    def name(self) -> str:
        """A dash in arguments, these words in messages."""
        return "standard input"

    def size(self) -> int:
        """Return the bytes stored."""
        return os.fstat(self.file.fileno()).st_size

    def identity(self) -> list[Any]:
        """Return the digest, so the same text piped again finds what was prepared of it."""
        return [self.digest]

    def open(self) -> BinaryIO:
        """Open for reading, with a position of its own."""
        return io.BufferedReader(_PositionedReader(self.file.fileno(), self.size()))


class _PositionedReader(io.RawIOBase):
    """Reads a descriptor at offsets of its own, so that several readers share it."""

    def __init__(self, descriptor: int, size: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._size = size
        self._offset = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self._offset, os.SEEK_END: self._size}[whence]
        self._offset = origin + offset
        return self._offset

    def readinto(self, buffer: Any) -> int:
        data = os.pread(self._descriptor, len(buffer), self._offset)
        buffer[: len(data)] = data
        self._offset += len(data)
        return len(data)
