"""Plain text: every line is a document, or blank lines lie between documents."""

from collections.abc import Iterator

from mindmlm.data.report import ReadReport
from mindmlm.data.sources.base import Document
from mindmlm.data.sources.lines import Line, LinePosition, read_lines
from mindmlm.data.sources.options import ReadOptions
from mindmlm.data.sources.stored_file import StoredFile

MAX_DOCUMENT_CHARACTERS = 8_000_000


def text_documents(
    file: StoredFile, options: ReadOptions, report: ReadReport, start: LinePosition = (0, 0)
) -> Iterator[tuple[LinePosition, Document]]:
    """Stream the documents of a text file, each with the line and byte behind it.

    A document of more than 8 million characters is divided, so that memory stays bounded.

    Raises:
        DataError: see `read_lines`.
    """
    lines = read_lines(file, options, report, start)
    if options.text_format == "line":
        for number, end, line in lines:
            if line:
                yield (number, end), Document((line,))
    else:
        yield from _by_blank_lines(lines, report)


def _by_blank_lines(
    lines: Iterator[Line], report: ReadReport
) -> Iterator[tuple[LinePosition, Document]]:
    held: list[str] = []
    characters = 0
    position = (0, 0)
    for number, end, line in lines:
        if line is None:
            continue
        if not line or characters + len(line) > MAX_DOCUMENT_CHARACTERS:
            report.divided_documents += bool(line and held)
            if held:
                yield position, Document(tuple(held))
            held, characters = [], 0
        if line:
            held.append(line)
            characters += len(line)
            position = (number, end)
    if held:
        yield position, Document(tuple(held))
