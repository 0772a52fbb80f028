"""JSON Lines: one object a line."""

import json
from collections.abc import Iterator

from mindmlm.data.report import ReadReport
from mindmlm.data.sources.base import Document
from mindmlm.data.sources.lines import LinePosition, read_lines
from mindmlm.data.sources.options import BAD_RECORD, ReadOptions
from mindmlm.data.sources.records import record_document
from mindmlm.data.sources.stored_file import StoredFile


def jsonl_documents(
    file: StoredFile, options: ReadOptions, report: ReadReport, start: LinePosition = (0, 0)
) -> Iterator[tuple[LinePosition, Document]]:
    """Stream the records of a file as documents, each with the line and byte behind it.

    Raises:
        DataError: see `read_lines` and `record_document`; a line that is no JSON object.
    """
    for number, end, line in read_lines(file, options, report, start):
        if not line:
            continue
        place = f"{file.name}:{number}"
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            detail = f"it is not JSON ({error}); expected one object a line"
            options.fault(report, BAD_RECORD, place, detail)
            continue
        if not isinstance(record, dict):
            detail = f"expected one JSON object a line, found a {type(record).__name__}"
            options.fault(report, BAD_RECORD, place, detail)
            continue
        document = record_document(record, options, report, place)
        if document is not None:
            yield (number, end), document
