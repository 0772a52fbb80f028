"""UTF-8 text files, read line by line in bounded memory."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from mindmlm.data.report import ReadReport
from mindmlm.errors import DataError

MAX_DOCUMENT_CHARACTERS = 8_000_000
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_OVER_LONG = "line longer than max_line_bytes"
_MALFORMED = "malformed UTF-8"
_EMPTY = "empty file"


@dataclass(frozen=True)
class Document:
    """Lines that belong together; none of them is blank."""

    lines: tuple[str, ...]


@dataclass(frozen=True)
class TextReader:
    """How text files are read.

    Attributes:
        text_format: "line" makes a document of every line; "document" reads documents with
            blank lines between them.
        on_error: "raise" stops at malformed UTF-8, an over-long line or an empty file; "skip"
            leaves it out and counts it in the report.
        max_line_bytes: longest line, its line end not counted.
    """

    text_format: str = "line"
    on_error: str = "raise"
    max_line_bytes: int = 1 << 20

    def documents(
        self, paths: Sequence[Path], report: ReadReport, num_samples: int | None = None
    ) -> Iterator[Document]:
        """Stream the documents of ``paths``, at most ``num_samples`` of them.

        Lines end at "\\n" or "\\r\\n" only; a byte-order mark is dropped. A document of more
        than 8 million characters is divided, so that memory stays bounded.

        Raises:
            DataError: a file cannot be opened; with ``on_error="raise"`` also its faults. The
                message gives file, line and byte.
        """
        for document in islice(self._all_documents(paths, report), num_samples):
            report.documents += 1
            yield document

    def _all_documents(self, paths: Sequence[Path], report: ReadReport) -> Iterator[Document]:
        group = _by_line if self.text_format == "line" else _by_blank_lines
        for path in paths:
            report.files += 1
            yield from group(self._lines(path, report), report)

    def _lines(self, path: Path, report: ReadReport) -> Iterator[str]:
        """Stream the lines of a file without their ends, blank ones as ""."""
        try:
            file = path.open("rb")
        except OSError as error:
            raise DataError(f"{path}: cannot read the text: {error.strerror}") from None
        with file:
            start, has_text = 0, False
            for number, (raw, length) in enumerate(_raw_lines(file, self.max_line_bytes), 1):
                line = self._decode(path, number, start, raw, report)
                start += length
                report.lines += 1
                report.bytes_read += length
                has_text = has_text or line is None or bool(line)
                if line is not None:
                    yield line
            if not has_text:
                self._fault(report, _EMPTY, str(path), "there is no text in it")

    def _decode(
        self, path: Path, number: int, start: int, raw: bytes | None, report: ReadReport
    ) -> str | None:
        place = f"{path}:{number}"
        if raw is None:
            self._fault(
                report,
                _OVER_LONG,
                place,
                f"the line at byte {start} has more than {self.max_line_bytes} bytes; break it "
                "up or raise train_dataset.data_loader.max_line_bytes",
            )
            return None
        skipped = 3 if number == 1 and raw.startswith(_BYTE_ORDER_MARK) else 0
        try:
            text = raw[skipped:].decode("utf-8")
        except UnicodeDecodeError as error:
            offset = start + skipped + error.start
            detail = f"byte {offset} of the file ({raw[skipped + error.start]:#04x}) is not UTF-8"
            self._fault(report, _MALFORMED, place, f"{detail}; convert the file to UTF-8")
            return None
        return "" if text.isspace() else text

    def _fault(self, report: ReadReport, reason: str, place: str, detail: str) -> None:
        if self.on_error == "raise":
            raise DataError(
                f"{place}: {reason}: {detail} (train_dataset.data_loader.on_error: skip leaves "
                "it out and counts it)"
            )
        report.skip(reason, place)


def _raw_lines(file: BinaryIO, limit: int) -> Iterator[tuple[bytes | None, int]]:
    """Yield (line without its end, bytes of the line with its end); None for an over-long one.

    An over-long line is read in pieces and dropped, it is never whole in memory.
    """
    room = limit + 2
    while raw := file.readline(room):
        length = len(raw)
        while not raw.endswith(b"\n") and (rest := file.readline(room)):
            length += len(rest)
            raw = rest
        line = raw.removesuffix(b"\n").removesuffix(b"\r")
        yield (line if length == len(raw) and len(line) <= limit else None), length


def _by_line(lines: Iterator[str], report: ReadReport) -> Iterator[Document]:
    return (Document((line,)) for line in lines if line)


def _by_blank_lines(lines: Iterator[str], report: ReadReport) -> Iterator[Document]:
    held: list[str] = []
    characters = 0
    for line in lines:
        if not line or characters + len(line) > MAX_DOCUMENT_CHARACTERS:
            report.divided_documents += bool(line and held)
            if held:
                yield Document(tuple(held))
            held, characters = [], 0
        if line:
            held.append(line)
            characters += len(line)
    if held:
        yield Document(tuple(held))
