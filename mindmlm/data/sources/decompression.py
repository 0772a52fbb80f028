"""Plain, gzip and zstd files as streams of their contents."""

import gzip
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

from mindmlm.data.sources.optional import require
from mindmlm.data.sources.stored_file import StoredFile
from mindmlm.errors import DataError

GZIP, ZSTD = "gzip", "zstd"
COMPRESSION_SUFFIXES = {".gz": GZIP, ".gzip": GZIP, ".zst": ZSTD, ".zstd": ZSTD}
_MAGIC = {b"\x1f\x8b": GZIP, b"\x28\xb5\x2f\xfd": ZSTD}
_BLOCK = 1 << 14
# What a piece becomes is whole in memory; text that repeats shrinks a thousandfold.
_ZSTD_PIECE = 1 << 10


@dataclass(frozen=True)
class Contents:
    """An open file.

    Attributes:
        stream: the contents, decompressed.
        stored: the file as it is stored; its position is what was read of ``size()`` bytes.
        compression: "gzip", "zstd" or None.
    """

    stream: BinaryIO
    stored: BinaryIO
    compression: str | None

    def skip(self, count: int) -> None:
        """Go to byte ``count`` of the contents; compressed ones are read up to there."""
        if self.compression is None:
            self.stream.seek(count)
            return
        while count and (block := self.stream.read(min(count, _BLOCK))):
            count -= len(block)


@contextmanager
def open_contents(file: StoredFile) -> Iterator[Contents]:
    """Open a file; how it is compressed is seen from its first bytes, whatever its name.

    Raises:
        DataError: it cannot be opened, or its name promises a compression that is not there.
    """
    try:
        stored = file.open()
    except OSError as error:
        raise DataError(f"{file.name}: cannot read the text: {error.strerror or error}") from None
    with stored:
        compression = _compression(file, stored)
        if compression == GZIP:
            with gzip.GzipFile(fileobj=stored) as stream:
                yield Contents(stream, stored, compression)  # type: ignore[arg-type]
        elif compression == ZSTD:
            with io.BufferedReader(_ZstdReader(stored), _BLOCK) as stream:
                yield Contents(stream, stored, compression)
        else:
            yield Contents(stored, stored, None)


def without_compression(base_name: str) -> str:
    """Return a file's name without .gz, .zst and the like."""
    for suffix in COMPRESSION_SUFFIXES:
        if base_name.lower().endswith(suffix):
            return base_name[: -len(suffix)]
    return base_name


def _compression(file: StoredFile, stored: BinaryIO) -> str | None:
    try:
        head = stored.read(4)
        stored.seek(0)
    except OSError as error:
        raise DataError(f"{file.name}: cannot read the text: {error}") from None
    for magic, compression in _MAGIC.items():
        if head.startswith(magic):
            return compression
    for suffix, compression in COMPRESSION_SUFFIXES.items():
        if head and file.base_name.lower().endswith(suffix):
            raise DataError(
                f"{file.name}: is not a {compression} file, as its name says; rename it, or "
                "fetch it again if it is damaged"
            )
    return None


class _ZstdReader(io.RawIOBase):
    """Decompresses frame after frame.

    `zstandard`'s own stream reader takes the end of a file in the middle of a frame for the end
    of the contents; here it is an error.
    """

    def __init__(self, stored: BinaryIO) -> None:
        super().__init__()
        self._zstandard = require("zstandard", "data", "a zstd file")
        self._stored = stored
        self._frame: Any = None
        self._compressed = b""
        self._contents = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._contents:
            self._compressed = self._compressed or self._stored.read(_BLOCK)
            if not self._compressed and self._frame is None:
                return 0
            if not self._compressed:
                raise OSError("the file ends in the middle of a zstd frame")
            self._contents = memoryview(self._decompressed())
        count = min(len(buffer), len(self._contents))
        buffer[:count] = self._contents[:count]
        self._contents = self._contents[count:]
        return count

    def _decompressed(self) -> bytes:
        if self._frame is None:
            self._frame = self._zstandard.ZstdDecompressor().decompressobj()
        piece, self._compressed = self._compressed[:_ZSTD_PIECE], self._compressed[_ZSTD_PIECE:]
        try:
            contents: bytes = self._frame.decompress(piece)
        except self._zstandard.ZstdError as error:
            raise OSError(str(error)) from None
        if self._frame.eof:
            self._compressed = self._frame.unused_data + self._compressed
            self._frame = None
        return contents
