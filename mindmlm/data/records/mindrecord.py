"""MindRecord files through MindSpore's own reader and writer, the only users of it in the data
layer; it is imported when a file is read or written."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np

from mindmlm.data.records.rows import FIELDS, Columns, Ragged, count_rows, form_of
from mindmlm.errors import DataError

_ROWS_AT_ONCE = 1024
# The file grows by whole pages; MindSpore's own 32 MB would make every small file a large one.
_PAGE_BYTES = 4 << 20
INDEX_SUFFIX = ".db"


def index_of(path: Path) -> Path:
    """Return the index that belongs to a MindRecord file and must lie beside it."""
    return path.with_name(path.name + INDEX_SUFFIX)


def write_mindrecord(path: Path, batches: Iterable[Columns], form: str) -> int:
    """Write rows to ``path`` and its index; return how many.

    The file cannot be renamed afterwards (its name is in the index), but its folder can.

    Raises:
        DataError: MindSpore could not write.
    """
    from mindspore.mindrecord import FileWriter

    fields = FIELDS[form]
    rows = 0
    try:
        writer = FileWriter(str(path), shard_num=1, overwrite=True)
        writer.set_page_size(_PAGE_BYTES)
        schema = {name: {"type": kind, "shape": [-1]} for name, kind in fields.items()}
        writer.add_schema(schema, f"mindmlm {form} rows")
        for columns in batches:
            rows += _write_rows(writer, columns, fields)
        writer.commit()
    except RuntimeError as error:
        raise DataError(f"{path}: cannot write the MindRecord file: {error}") from None
    return rows


def _write_rows(writer: Any, columns: Columns, fields: dict[str, str]) -> int:
    """Write rows; return how many.

    `FileWriter.write_raw_data` asks MindSpore for the schema ten times a row and checks every
    array in Python, which takes nine tenths of the time. The columns have the types of the schema
    already, so only the first row goes that way (it opens the file), and the others go straight
    to the writer below, in the form that it is given by its Python side: for each field the
    number of bytes (8, big-endian), then the bytes; of a single field the bytes alone.
    """
    count = count_rows(columns)
    shards = writer._writer
    first = 0
    if count and not shards.is_open:
        row = {
            name: columns[name].values[: columns[name].lengths[0]].astype(kind)
            for name, kind in fields.items()
        }
        writer.write_raw_data([row])
        first = 1
    if first < count:
        names = shards.get_shard_header().blob_fields
        payloads = [
            _payloads(columns[name], fields[name], with_sizes=len(names) > 1) for name in names
        ]
        blobs = [b"".join(parts) for parts in zip(*payloads, strict=True)][first:]
        status = shards._writer.write_raw_data({}, blobs, True, False)
        if int(status) != 0:
            raise RuntimeError("MindSpore refused the rows")
    return count


def _payloads(column: Ragged, kind: str, with_sizes: bool) -> list[bytes]:
    """Return the bytes of each row of a column, their number in front if it is wanted."""
    values = column.values.astype(kind, copy=False)
    data = values.tobytes()
    sizes = column.lengths * values.itemsize
    heads = sizes.astype(">i8").tobytes() if with_sizes else b""
    borders = np.concatenate([[0], np.cumsum(sizes)]).tolist()
    return [
        heads[8 * row : 8 * row + 8] + data[begin:end]
        for row, (begin, end) in enumerate(pairwise(borders))
    ]


def read_mindrecord(path: Path) -> Iterator[tuple[str, Columns]]:
    """Yield (form, columns) of about a thousand rows at a time, in the order of the file.

    Raises:
        DataError: unreadable, without its index, or its rows are neither of Google's form nor of
            one of ours.
    """
    from mindspore.mindrecord import FileReader

    if not index_of(path).is_file():
        raise DataError(f"{path}: its index {index_of(path).name} does not lie beside it")
    _check_name(path)
    try:
        reader = FileReader(str(path), num_consumer=1)
    except RuntimeError as error:
        raise DataError(f"{path}: not a readable MindRecord file: {_first_line(error)}") from None
    try:
        names = set(reader.schema())
        form = form_of(names)
        if form is None:
            expected = " or ".join(", ".join(fields) for fields in FIELDS.values())
            raise DataError(
                f"{path}: its columns are {', '.join(sorted(names))}; expected {expected} "
                "(tools/build_dataset.py makes all of them)"
            )
        wanted = [name for name in FIELDS[form] if name in names]
        rows = iter(reader.get_next())
        while batch := list(islice(rows, _ROWS_AT_ONCE)):
            yield form, {name: _column(batch, name) for name in wanted}
    except RuntimeError as error:
        raise DataError(f"{path}: damaged MindRecord file: {_first_line(error)}") from None
    finally:
        reader.close()


def _check_name(path: Path) -> None:
    """MindSpore aborts with a long trace when a file was renamed; say what is wrong instead."""
    try:
        with closing(
            sqlite3.connect(f"{index_of(path).resolve().as_uri()}?mode=ro", uri=True)
        ) as index:
            written = [name for (name,) in index.execute("SELECT NAME FROM SHARD_NAME")]
    except sqlite3.Error as error:
        raise DataError(f"{index_of(path)}: not a MindRecord index: {error}") from None
    if path.name not in written:
        raise DataError(
            f"{path}: was written as {', '.join(written)} and a MindRecord file cannot be renamed; "
            "give it its old name (moving its folder is fine)"
        )


def _column(rows: list[dict[str, Any]], name: str) -> Ragged:
    arrays = [np.atleast_1d(row[name]) for row in rows]
    lengths = np.array([len(array) for array in arrays], np.int64)
    return Ragged(np.concatenate(arrays), lengths)


def _first_line(error: RuntimeError) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip(" -")]
    return lines[0] if lines else type(error).__name__
