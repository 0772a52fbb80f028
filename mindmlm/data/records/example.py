"""`tf.train.Example` messages (tensorflow/core/example/example.proto), without TensorFlow."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np

from mindmlm.data.records.rows import Columns, Ragged

_BYTES_LIST, _FLOAT_LIST, _INT64_LIST = 1, 2, 3
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_MAX_VARINT = 10


class ExampleError(ValueError):
    """A record is no `tf.train.Example`, or a feature of it is not of numbers."""


def encode_examples(columns: Columns) -> list[bytes]:
    """Return one message for each row; features in the order of the columns."""
    encoded = [
        (name, column.values.dtype.kind == "f", _payloads(column))
        for name, column in columns.items()
    ]
    messages = []
    for payloads in zip(*(payload for _, _, payload in encoded), strict=True):
        parts = []
        for (name, is_float, _), payload in zip(encoded, payloads, strict=True):
            parts += [_feature_head(name, is_float, len(payload)), payload]
        features = b"".join(parts)
        messages.append(_tagged(1, len(features)) + features)
    return messages


def decode_examples(messages: Sequence[bytes], names: Sequence[str]) -> Columns:
    """Return the features called ``names`` of all messages.

    Raises:
        ExampleError: a message is malformed or lacks one of the features.
    """
    found: dict[str, list[tuple[bool, bytes]]] = {name: [] for name in names}
    for message in messages:
        features = feature_payloads(message)
        for name in names:
            if name not in features:
                raise ExampleError(f"no feature {name!r}; there are {', '.join(sorted(features))}")
            found[name].append(features[name])
    return {name: _column(name, payloads) for name, payloads in found.items()}


def feature_payloads(message: bytes) -> dict[str, tuple[bool, bytes]]:
    """Return (is float, packed values) of every number feature of a message.

    Raises:
        ExampleError: malformed.
    """
    result = {}
    try:
        for field, features in _fields(message):
            for number, entry in _fields(features) if field == 1 else ():
                if number == 1:
                    parts = dict(_fields(entry))
                    kinds = list(_fields(parts.get(2, b"")))
                    if kinds and kinds[-1][0] in (_FLOAT_LIST, _INT64_LIST):
                        kind, values = kinds[-1]
                        payload = b"".join(part for _, part in _fields(values, raw=True))
                        result[parts[1].decode()] = (kind == _FLOAT_LIST, payload)
    except (IndexError, KeyError, UnicodeDecodeError, TypeError) as error:
        raise ExampleError(f"not a tf.train.Example message ({error})") from None
    return result


def _column(name: str, payloads: Sequence[tuple[bool, bytes]]) -> Ragged:
    kinds = {is_float for is_float, _ in payloads}
    if len(kinds) > 1:
        raise ExampleError(f"feature {name!r} is of integers in some records, of floats in others")
    sizes = np.array([len(payload) for _, payload in payloads], np.int64)
    data = b"".join(payload for _, payload in payloads)
    if kinds == {True}:
        if (sizes % 4).any():
            raise ExampleError(f"feature {name!r}: broken floats")
        return Ragged(np.frombuffer(data, "<f4"), sizes // 4)
    raw = np.frombuffer(data, np.uint8)
    is_last = raw < 0x80
    counts = np.concatenate([[0], np.cumsum(is_last)])
    ends = np.cumsum(sizes)
    full = sizes == 0
    full |= is_last[np.maximum(ends, 1) - 1] if len(raw) else True
    if not full.all():
        raise ExampleError(f"feature {name!r}: broken integers")
    return Ragged(_decode_varints(raw, is_last), counts[ends] - counts[ends - sizes])


def _decode_varints(raw: np.ndarray, is_last: np.ndarray) -> np.ndarray:
    if not len(raw):
        return np.zeros(0, np.int64)
    starts = np.concatenate([[0], np.flatnonzero(is_last)[:-1] + 1])
    places = np.arange(len(raw)) - np.repeat(starts, np.diff(starts, append=len(raw)))
    if places.max() >= _MAX_VARINT:
        raise ExampleError("an integer of more than 10 bytes")
    shifted = (raw & 0x7F).astype(np.uint64) << (7 * places).astype(np.uint64)
    return np.add.reduceat(shifted, starts).astype(np.int64)


def _payloads(column: Ragged) -> list[bytes]:
    """Return the packed values of each row."""
    if column.values.dtype.kind == "f":
        data, sizes = column.values.astype("<f4").tobytes(), column.lengths * 4
    else:
        data, per_value = _encode_varints(column.values)
        ends = np.concatenate([[0], np.cumsum(per_value)])
        rows = np.concatenate([[0], np.cumsum(column.lengths)])
        sizes = ends[rows[1:]] - ends[rows[:-1]]
    borders = np.concatenate([[0], np.cumsum(sizes)]).tolist()
    return [data[begin:end] for begin, end in pairwise(borders)]


def _encode_varints(values: np.ndarray) -> tuple[bytes, np.ndarray]:
    """Return the bytes of all values and how many each one takes."""
    rest = values.astype(np.int64).astype(np.uint64)
    width = max(1, -(-int(rest.max(initial=0)).bit_length() // 7))
    pieces = rest[:, None] >> (7 * np.arange(width)).astype(np.uint64)
    sizes = np.maximum(1, (pieces > 0).sum(axis=1))
    places = np.arange(width)
    encoded = (pieces & np.uint64(0x7F)).astype(np.uint8)
    encoded |= np.where(places < sizes[:, None] - 1, 0x80, 0).astype(np.uint8)
    return encoded[places < sizes[:, None]].tobytes(), sizes


@lru_cache(maxsize=1 << 14)
def _feature_head(name: str, is_float: bool, size: int) -> bytes:
    """Return all that stands before the packed values of one feature in the map."""
    packed = _tagged(1, size)
    values = _tagged(_FLOAT_LIST if is_float else _INT64_LIST, len(packed) + size) + packed
    feature = _tagged(2, len(values) + size) + values
    key = name.encode()
    entry = _tagged(1, len(key)) + key + feature
    return _tagged(1, len(entry) + size) + entry


def _tagged(field: int, size: int) -> bytes:
    return _varint(field << 3 | _LENGTH) + _varint(size)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _fields(message: bytes, raw: bool = False) -> list[tuple[int, bytes]]:
    """Return (number, contents) of the fields of a message; ``raw`` keeps single numbers too."""
    result = []
    place, size = 0, len(message)
    while place < size:
        tag, place = _read_varint(message, place)
        begin = place
        kind = tag & 7
        if kind == _LENGTH:
            length, begin = _read_varint(message, place)
            place = begin + length
        elif kind == _VARINT:
            _, place = _read_varint(message, place)
        elif kind in (_FIXED32, _FIXED64):
            place += 4 if kind == _FIXED32 else 8
        else:
            raise ExampleError(f"not a tf.train.Example message (wire type {kind})")
        if place > size:
            raise ExampleError("not a tf.train.Example message (a field reaches over the end)")
        if raw or kind == _LENGTH:
            result.append((tag >> 3, message[begin:place]))
    return result


def _read_varint(message: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
        shift += 7
        if shift > 63:
            raise ExampleError("not a tf.train.Example message (a number of more than 10 bytes)")
