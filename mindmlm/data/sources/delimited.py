"""Comma- or tab-separated values with the names of the columns in the first row."""

import csv
from collections.abc import Iterator

from mindmlm.data.report import ReadReport
from mindmlm.data.sources.base import Document
from mindmlm.data.sources.decompression import without_compression
from mindmlm.data.sources.lines import Line, LinePosition, read_lines
from mindmlm.data.sources.options import BAD_RECORD, EMPTY, ReadOptions
from mindmlm.data.sources.records import record_document, require_columns
from mindmlm.data.sources.stored_file import StoredFile


def csv_documents(
    file: StoredFile, options: ReadOptions, report: ReadReport, start: LinePosition = (0, 0)
) -> Iterator[tuple[LinePosition, Document]]:
    """Stream the rows of a file as documents, each with the line and byte behind it.

    Quoting is that of RFC 4180: a field in quotes may hold delimiters, line ends and, doubled,
    quotes.

    Raises:
        DataError: see `read_lines` and `record_document`; a row with bad quoting or another
            number of fields than the first; no first row.
    """
    # The limit is one for the whole process: it only grows.
    csv.field_size_limit(max(csv.field_size_limit(), options.max_line_bytes))
    # On from a later row, the header is read on its own and counts as read before.
    header_report = ReadReport() if start[0] else report
    header_rows = _Rows(file, options, header_report, (0, 0))
    header = next((row for row in header_rows if row), None)
    if header is None:
        options.fault(report, EMPTY, file.name, "there is no row with the names of the columns")
        return
    require_columns(file.name, header, options)
    rows = _Rows(file, options, report, start) if start[0] else header_rows
    for row in rows:
        if not row:
            continue
        place = f"{file.name}:{rows.first_line}"
        if len(row) != len(header):
            detail = f"it has {len(row)} fields, the first row {len(header)} ({', '.join(header)})"
            options.fault(report, BAD_RECORD, place, detail)
            continue
        document = record_document(dict(zip(header, row, strict=True)), options, report, place)
        if document is not None:
            yield rows.position, document


class _Rows:
    """Rows of a file, with the place of the one read last."""

    def __init__(
        self, file: StoredFile, options: ReadOptions, report: ReadReport, start: LinePosition
    ) -> None:
        self.position = start
        self.first_line = start[0] + 1
        self._file = file
        self._options = options
        self._report = report
        name = without_compression(file.base_name).lower()
        delimiter = options.csv_delimiter or ("\t" if name.endswith(".tsv") else ",")
        lines = read_lines(file, options, report, start)
        self._reader = csv.reader(self._texts(lines), delimiter=delimiter, strict=True)

    def __iter__(self) -> Iterator[list[str]]:
        while True:
            self.first_line = self.position[0] + 1
            try:
                row = next(self._reader, None)
            except csv.Error as error:
                detail = f"{error}; check the quotes and train_dataset.data_loader.csv_delimiter"
                place = f"{self._file.name}:{self.first_line}"
                self._options.fault(self._report, BAD_RECORD, place, detail)
                continue
            if row is None:
                return
            yield row

    def _texts(self, lines: Iterator[Line]) -> Iterator[str]:
        for number, end, line in lines:
            self.position = (number, end)
            if line is not None:
                yield line + "\n"
