"""Parquet tables, read row group by row group."""

from collections.abc import Iterator
from typing import Any

from mindmlm.data.report import ReadReport
from mindmlm.data.sources.base import Document
from mindmlm.data.sources.decompression import open_contents
from mindmlm.data.sources.optional import require
from mindmlm.data.sources.options import EMPTY, MALFORMED, ReadOptions
from mindmlm.data.sources.records import record_document, require_columns
from mindmlm.data.sources.stored_file import StoredFile
from mindmlm.errors import DataError

MAGIC = b"PAR1"
_BATCH_ROWS = 256
_BUFFER_BYTES = 1 << 20


def parquet_documents(
    file: StoredFile, options: ReadOptions, report: ReadReport, start: tuple[int] = (0,)
) -> Iterator[tuple[tuple[int], Document]]:
    """Stream the rows of a table as documents, each with the number of rows up to it.

    Raises:
        DataError: see `record_document`; the file is no parquet table, lacks a column, or cannot
            be read on; with file and row (from 1).
    """
    for number, row in _rows(file, options, report, start[0]):
        place = f"{file.name}, row {number}"
        if row is None:
            options.fault(report, MALFORMED, place, "a text in it is not UTF-8")
            continue
        document = record_document(row, options, report, place)
        if document is not None:
            yield (number,), document


def _rows(
    file: StoredFile, options: ReadOptions, report: ReadReport, start: int
) -> Iterator[tuple[int, dict[str, Any] | None]]:
    """Yield (number from 1, fields) of the rows behind ``start``; None = malformed."""
    arrow = require("pyarrow", "data", "a parquet file")
    parquet = require("pyarrow.parquet", "data", "a parquet file")
    number = start
    with open_contents(file) as contents:
        if contents.compression:
            raise DataError(
                f"{file.name}: a parquet file inside of {contents.compression} cannot be read in "
                "parts; decompress it (parquet has a compression of its own)"
            )
        try:
            table = parquet.ParquetFile(contents.stored, buffer_size=_BUFFER_BYTES)
            require_columns(file.name, table.schema_arrow.names, options)
            if not table.metadata.num_rows:
                options.fault(report, EMPTY, file.name, "there is no row in it")
                return
            row_bytes = file.size() / table.metadata.num_rows
            for batch in _batches(table, list(options.text_field), start):
                for row in _fields(batch):
                    number += 1
                    report.lines += 1
                    # Row by row, so that a report that is kept with a position fits it.
                    report.bytes_read += int(number * row_bytes) - int((number - 1) * row_bytes)
                    yield number, row
        except (arrow.ArrowException, OSError) as error:
            place = f"{file.name}, row {number + 1}"
            raise DataError(f"{place}: cannot read the table: {error}") from None


def _batches(table: Any, columns: list[str], start: int) -> Iterator[Any]:
    """Yield record batches behind ``start`` rows; row groups before it are not read."""
    end = 0
    for group in range(table.num_row_groups):
        end += table.metadata.row_group(group).num_rows
        if end <= start:
            continue
        first = end - table.metadata.row_group(group).num_rows
        for batch in table.iter_batches(
            batch_size=_BATCH_ROWS, row_groups=[group], columns=columns, use_threads=False
        ):
            skipped = min(max(0, start - first), batch.num_rows)
            first += batch.num_rows
            if skipped < batch.num_rows:
                yield batch.slice(skipped)


def _fields(batch: Any) -> Iterator[dict[str, Any] | None]:
    try:
        yield from batch.to_pylist()
    except UnicodeDecodeError:
        for index in range(batch.num_rows):
            try:
                yield batch.slice(index, 1).to_pylist()[0]
            except UnicodeDecodeError:
                yield None
