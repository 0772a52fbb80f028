"""Lines of UTF-8 files, in bounded memory."""

import zlib
from collections.abc import Iterator
from typing import BinaryIO

from mindmlm.data.report import ReadReport
from mindmlm.data.sources.decompression import Contents, open_contents
from mindmlm.data.sources.options import EMPTY, MALFORMED, OVER_LONG, ReadOptions
from mindmlm.data.sources.stored_file import StoredFile
from mindmlm.errors import DataError

Line = tuple[int, int, str | None]
LinePosition = tuple[int, int]
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def read_lines(
    file: StoredFile, options: ReadOptions, report: ReadReport, start: LinePosition = (0, 0)
) -> Iterator[Line]:
    """Stream (number from 1, byte behind the line, text) of the lines of a file.

    Lines end at "\\n" or "\\r\\n" only; a byte-order mark is dropped. The text is "" for a
    line of white space and None for a faulty one.

    Args:
        file: plain, gzip or zstd.
        options: see `ReadOptions`.
        report: counts bytes as they are stored, lines and faults.
        start: number and byte that came with the last line read.

    Raises:
        DataError: the file cannot be read, or read on, or has a fault; with file and line.
    """
    with open_contents(file) as contents:
        number, end = start
        has_text = number > 0
        try:
            contents.skip(end)
            # Behind the skipping: what was read before was counted before.
            count_stored = _StoredBytes(contents, report, end) if contents.compression else None
            for raw, length in _raw_lines(contents.stream, options.max_line_bytes):
                number += 1
                line = _decoded(file, number, end, raw, options, report)
                end += length
                report.lines += 1
                if count_stored is None:
                    report.bytes_read += length
                else:
                    count_stored()
                has_text = has_text or line != ""
                yield number, end, line
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(
                f"{file.name}:{number + 1}: cannot read on behind byte {end}: {error}"
            ) from None
        if not has_text:
            options.fault(report, EMPTY, file.name, "there is no text in it")


class _StoredBytes:
    """Counts how far a compressed file has been read."""

    def __init__(self, contents: Contents, report: ReadReport, skipped: int) -> None:
        self._stored = contents.stored
        self._report = report
        self._counted = contents.stored.tell() if skipped else 0

    def __call__(self) -> None:
        position = self._stored.tell()
        self._report.bytes_read += position - self._counted
        self._counted = position


def _decoded(
    file: StoredFile,
    number: int,
    start: int,
    raw: bytes | None,
    options: ReadOptions,
    report: ReadReport,
) -> str | None:
    if raw is None:
        options.fault(
            report,
            OVER_LONG,
            f"{file.name}:{number}",
            f"the line at byte {start} has more than {options.max_line_bytes} bytes; break it "
            "up or raise train_dataset.data_loader.max_line_bytes",
        )
        return None
    skipped = 3 if number == 1 and raw.startswith(_BYTE_ORDER_MARK) else 0
    try:
        text = raw[skipped:].decode("utf-8")
    except UnicodeDecodeError as error:
        offset = start + skipped + error.start
        detail = f"byte {offset} of the text ({raw[skipped + error.start]:#04x}) is not UTF-8"
        place = f"{file.name}:{number}"
        options.fault(report, MALFORMED, place, f"{detail}; convert the file to UTF-8")
        return None
    return "" if text.isspace() else text


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
