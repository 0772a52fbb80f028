"""TFRecord files: length, checksum, message, checksum (tensorflow/core/lib/io/record_writer.cc)."""

import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from mindmlm.data.records.crc32c import masked_crc32c
from mindmlm.data.records.example import (
    ExampleError,
    decode_examples,
    encode_examples,
    feature_payloads,
)
from mindmlm.data.records.rows import FIELDS, Columns, form_of
from mindmlm.errors import DataError

_LENGTH = struct.Struct("<Q")
_CHECKSUM_BYTES = 4
_HEAD_BYTES = _LENGTH.size + _CHECKSUM_BYTES
_ROWS_AT_ONCE = 1024
_MAX_MESSAGE = 64 << 20
_BATCH_BYTES = 16 << 20


def write_tfrecord(file: BinaryIO, batches: Iterable[Columns]) -> int:
    """Write rows as `tf.train.Example` records; return how many."""
    rows = 0
    for columns in batches:
        messages = encode_examples(columns)
        lengths = [_LENGTH.pack(len(message)) for message in messages]
        head_sums = masked_crc32c(lengths).astype("<u4").tobytes()
        sums = masked_crc32c(messages).astype("<u4").tobytes()
        parts = []
        for number, (length, message) in enumerate(zip(lengths, messages, strict=True)):
            place = slice(4 * number, 4 * number + 4)
            parts += [length, head_sums[place], message, sums[place]]
        file.write(b"".join(parts))
        rows += len(messages)
    return rows


def read_tfrecord(path: Path) -> Iterator[tuple[str, Columns]]:
    """Yield (form, columns) of about a thousand rows at a time, every checksum verified.

    Raises:
        DataError: unreadable, damaged or cut off, or its rows are neither of Google's form nor of
            ours; with file and record number.
    """
    form = None
    first = 0
    for messages in _checked_messages(path):
        try:
            if form is None:
                names = set(feature_payloads(messages[0]))
                form = _form(path, names)
                wanted = [name for name in FIELDS[form] if name in names]
            columns = decode_examples(messages, wanted)
        except ExampleError as error:
            last = first + len(messages)
            raise DataError(f"{path}: records {first + 1} to {last}: {error}") from None
        yield form, columns
        first += len(messages)


def _form(path: Path, names: set[str]) -> str:
    form = form_of(names)
    if form is None:
        expected = " or ".join(", ".join(fields) for fields in FIELDS.values())
        raise DataError(
            f"{path}: its records have the features {', '.join(sorted(names)) or 'none'}; expected "
            f"{expected} (tools/build_dataset.py makes all of them)"
        )
    return form


def _checked_messages(path: Path) -> Iterator[list[bytes]]:
    try:
        file = path.open("rb")
    except OSError as error:
        raise DataError(f"{path}: cannot read the records: {error.strerror}") from None
    with file:
        number = 0
        while records := _read_batch(path, file, number):
            _check(path, number, [record[0] for record in records], [r[1] for r in records])
            messages = [record[2] for record in records]
            _check(path, number, messages, [record[3] for record in records])
            yield messages
            number += len(messages)


def _check(path: Path, number: int, strings: list[bytes], expected: list[bytes]) -> None:
    found = masked_crc32c(strings)
    wrong = np.flatnonzero(found != np.frombuffer(b"".join(expected), "<u4"))
    if len(wrong):
        raise _damaged(path, number + int(wrong[0]) + 1, "a checksum is wrong")


def _damaged(path: Path, place: int, why: str) -> DataError:
    return DataError(
        f"{path}: record {place} is damaged or this is not an uncompressed TFRecord file: {why}; "
        "copy or build the file again"
    )


def _read_batch(path: Path, file: BinaryIO, number: int) -> list[tuple[bytes, ...]]:
    """Return (length, its checksum, message, its checksum) of the next records, unchecked."""
    batch: list[tuple[bytes, ...]] = []
    size = 0
    while len(batch) < _ROWS_AT_ONCE and size < _BATCH_BYTES and (head := file.read(_HEAD_BYTES)):
        place = number + len(batch) + 1
        length = _LENGTH.unpack(head[:8])[0] if len(head) == _HEAD_BYTES else _MAX_MESSAGE + 1
        if length > _MAX_MESSAGE:
            raise _damaged(path, place, "its length makes no sense")
        body = file.read(length + _CHECKSUM_BYTES)
        if len(body) < length + _CHECKSUM_BYTES:
            raise _damaged(path, place, "the file is cut off")
        batch.append((head[:8], head[8:], body[:length], body[length:]))
        size += length
    return batch
