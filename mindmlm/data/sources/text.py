"""Plain text: every line is a document, or blank lines lie between documents."""

from collections.abc import Iterator

from mindmlm.data.report import ReadReport
from mindmlm.data.sources.base import Document
from mindmlm.data.sources.lines import Line, read_lines
from mindmlm.data.sources.options import ReadOptions
from mindmlm.data.sources.stored_file import StoredFile

MAX_DOCUMENT_CHARACTERS = 8_000_000


def text_documents(
    file: StoredFile, options: ReadOptions, report: ReadReport, start: tuple[int, ...] = (0, 0)
) -> Iterator[tuple[tuple[int, ...], Document]]:
    """Stream the documents of a text file, each with the line and byte behind it.

    Behind a document that blank lines end lies the first of them, which has been read (and
    counted) by then; the document's own last line is the third number.

    A document of more than 8 million characters is divided, so that memory stays bounded.

    Raises:
        DataError: see `read_lines`.
    """
    lines = read_lines(file, options, report, (start[0], start[1]))
    if options.text_format == "line":
        for number, end, line in lines:
            if line:
                yield (number, end), Document((line,))
    else:
        yield from _by_blank_lines(lines, report)


def _by_blank_lines(
    lines: Iterator[Line], report: ReadReport
) -> Iterator[tuple[tuple[int, ...], Document]]:
    held: list[str] = []
    characters = 0
    last = (0, 0)
    for number, end, line in lines:
        if line is None:
            continue
        if held and not line:
            yield (number, end, last[0]), Document(tuple(held))
            held, characters = [], 0
        elif held and characters + len(line) > MAX_DOCUMENT_CHARACTERS:
            report.divided_documents += 1
            yield last, Document(tuple(held))
            held, characters = [], 0
        if line:
            held.append(line)
            characters += len(line)
            last = (number, end)
    if held:
        yield last, Document(tuple(held))
