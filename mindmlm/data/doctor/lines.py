"""Lines of a text file in batches; lines that cannot be read are reported."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from mindmlm.data.doctor.findings import Findings
from mindmlm.data.sources.decompression import open_contents
from mindmlm.data.sources.stored_file import StoredFile
from mindmlm.errors import DataError

MALFORMED = "malformed UTF-8"
OVER_LONG = "over-long line"
OTHER_ENCODING = "UTF-16 or UTF-32 instead of UTF-8"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_OTHER_MARKS = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")


@dataclass
class FileSummary:
    """What one file holds.

    Attributes:
        path: the file. side: "train" or "evaluation".
        unit: what its places count: "line" or "row".
        bytes, lines, blank_lines, characters: totals; ``characters`` of lines that can be read.
    """

    path: str
    side: str
    unit: str = "line"
    bytes: int = 0
    lines: int = 0
    blank_lines: int = 0
    characters: int = 0

    def place(self, number: int) -> str:
        """Return ``file:line``, or ``file, row n``, of a line or row."""
        return f"{self.path}:{number}" if self.unit == "line" else f"{self.path}, row {number}"


@dataclass(frozen=True)
class LineBatch:
    """Some lines of one file that hold text.

    Attributes:
        file: its summary.
        numbers: line (or row) numbers, from 1.
        texts: the lines, without white space around them.
    """

    file: FileSummary
    numbers: list[int] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    def place(self, index: int) -> str:
        """Return the place of one of the lines."""
        return self.file.place(self.numbers[index])


def read_lines(
    file: StoredFile, summary: FileSummary, findings: Findings, max_line_bytes: int
) -> Iterator[tuple[int, str]]:
    """Stream (number, text) of the lines of a file that hold text; others are reported.

    Plain, gzip and zstd files. Lines end at "\\n" or "\\r\\n" only, as when training reads them.

    Raises:
        DataError: the file cannot be opened or read.
    """
    try:
        with open_contents(file) as contents:
            yield from _lines(contents.stream, summary, findings, max_line_bytes)
    except (OSError, EOFError, zlib.error) as error:
        place = summary.place(summary.lines + 1)
        raise DataError(f"{place}: cannot read the text: {error}") from None


def _lines(
    file: BinaryIO, summary: FileSummary, findings: Findings, limit: int
) -> Iterator[tuple[int, str]]:
    while raw := file.readline(limit + 2):
        start = summary.bytes
        if start == 0 and raw.startswith(_OTHER_MARKS):
            findings.add(OTHER_ENCODING, f"{summary.place(1)}: convert the file to UTF-8")
            summary.bytes = len(raw)
            return
        summary.lines += 1
        summary.bytes += len(raw)
        if not raw.endswith(b"\n"):
            summary.bytes += _skip_rest(file, limit)
        place = summary.place(summary.lines)
        if text := _decoded(raw, start, summary, place, findings, limit):
            yield summary.lines, text


def _skip_rest(file: BinaryIO, limit: int) -> int:
    skipped = 0
    while rest := file.readline(limit):
        skipped += len(rest)
        if rest.endswith(b"\n"):
            break
    return skipped


def _decoded(
    raw: bytes, start: int, summary: FileSummary, place: str, findings: Findings, limit: int
) -> str:
    """Return the text of a line, "" for a blank one and for one that cannot be read."""
    line = raw.removesuffix(b"\n").removesuffix(b"\r")
    if summary.bytes - start > len(raw) or len(line) > limit:
        size = summary.bytes - start
        findings.add(OVER_LONG, f"{place}: {size} bytes, more than {limit}; break it up")
        return ""
    skipped = len(_BYTE_ORDER_MARK) if start == 0 and line.startswith(_BYTE_ORDER_MARK) else 0
    try:
        text = line[skipped:].decode("utf-8").strip()
    except UnicodeDecodeError as error:
        byte = skipped + error.start
        findings.add(MALFORMED, f"{place}: byte {byte} of the line ({line[byte]:#04x})")
        return ""
    summary.blank_lines += not text
    return text
