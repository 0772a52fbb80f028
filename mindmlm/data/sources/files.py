"""Files of any format, one after the other, as one source."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mindmlm.data.report import ReadReport
from mindmlm.data.sources.base import WHOLE, Document, Position, Slice, Source
from mindmlm.data.sources.decompression import open_contents, without_compression
from mindmlm.data.sources.delimited import csv_documents
from mindmlm.data.sources.jsonl import jsonl_documents
from mindmlm.data.sources.options import ReadOptions
from mindmlm.data.sources.parquet import MAGIC as PARQUET_MAGIC
from mindmlm.data.sources.parquet import parquet_documents
from mindmlm.data.sources.stored_file import LocalFile, StoredFile
from mindmlm.data.sources.text import text_documents

Reader = Callable[..., Iterator[tuple[tuple[int, ...], Document]]]
READERS: dict[str, Reader] = {
    "txt": text_documents,
    "jsonl": jsonl_documents,
    "csv": csv_documents,
    "parquet": parquet_documents,
}
FORMAT_SUFFIXES = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
}


@dataclass(frozen=True)
class FileSource(Source):
    """The documents of files, in the order of the files.

    A position is (files read, documents read, place in the file: the line or row up to which was
    read, for lines the byte behind it, and the document's last line where that is another). A
    slice takes every ``count``-th document; the other ones are read and dropped.

    Attributes:
        files: at least one.
        options: see `ReadOptions`.
    """

    files: tuple[StoredFile, ...]
    options: ReadOptions = field(default_factory=ReadOptions)

    @classmethod
    def of_paths(cls, *paths: Path, options: ReadOptions | None = None) -> "FileSource":
        """Return the source of files of this machine."""
        return cls(tuple(map(LocalFile, paths)), options or ReadOptions())

    @property
    def name(self) -> str:
        """The first file and the number of others."""
        more = f" and {len(self.files) - 1} more files" if len(self.files) > 1 else ""
        return f"{self.files[0].name}{more}"

    def documents(
        self, report: ReadReport, part: Slice = WHOLE, start: Position | None = None
    ) -> Iterator[tuple[Position, Document]]:
        """Stream the documents of a part; see `Source.documents`."""
        first, number, *place = map(int, start) if start else (0, 0)
        for index in range(first, len(self.files)):
            file = self.files[index]
            read = READERS[format_of(file, self.options)]
            begin = (tuple(place),) if place else ()
            report.files += not place
            place = []
            for inner, document in read(file, self.options, report, *begin):
                if number % part.count == part.index:
                    yield (index, number + 1, *inner), document
                number += 1

    def place(self, position: Position) -> str:
        """Return the file and the line (or row) that a document ended at."""
        line = position[4] if len(position) > 4 else position[2]
        return f"{self.files[int(position[0])].name}:{line}"

    def identity(self) -> dict[str, Any]:
        """Return what the files are (path, size and time of change) and how they are read."""
        return {"files": [file.identity() for file in self.files], "options": asdict(self.options)}

    def size_bytes(self) -> int | None:
        """Return the bytes of all files as they are stored."""
        return sum(file.size() for file in self.files)


def format_of(file: StoredFile, options: ReadOptions) -> str:
    """Return the name in `READERS` of the format that a file is read as.

    Raises:
        DataError: the file cannot be opened.
    """
    if options.file_format != "auto":
        return options.file_format
    suffix = Path(without_compression(file.base_name)).suffix.lower()
    if suffix in FORMAT_SUFFIXES:
        return FORMAT_SUFFIXES[suffix]
    return "parquet" if _begins_as_parquet(file) else "txt"


def _begins_as_parquet(file: StoredFile) -> bool:
    with open_contents(file) as contents:
        begin = contents.stored.read(len(PARQUET_MAGIC)) if contents.compression is None else b""
    return begin == PARQUET_MAGIC
