"""The wire format of protocol buffers (https://protobuf.dev/programming-guides/encoding).

Enough of it to walk through the messages of MindSpore and TensorFlow without copying their
tensors, which the generated classes would do.
"""

from collections.abc import Iterator

from mindmlm.errors import CheckpointError

VARINT, FIXED64, LENGTH_DELIMITED, FIXED32 = 0, 1, 2, 5
_MAX_VARINT_BYTES = 10


def read_varint(data: memoryview, position: int) -> tuple[int, int]:
    """Return the variable-length number at ``position`` and the position behind it.

    Raises:
        CheckpointError: it has no end.
    """
    value = 0
    for place in range(_MAX_VARINT_BYTES):
        if position + place >= len(data):
            break
        byte = data[position + place]
        value |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return value, position + place + 1
    raise CheckpointError(f"damaged: no number at byte {position}")


def fields(data: memoryview) -> Iterator[tuple[int, int, int | memoryview]]:
    """Yield number, wire type and value of every field of a message.

    The value is a number, or a view of the bytes of texts, bytes and messages.

    Raises:
        CheckpointError: the bytes are no message.
    """
    position = 0
    while position < len(data):
        key, position = read_varint(data, position)
        number, kind = key >> 3, key & 7
        if not number:
            raise CheckpointError(f"damaged: field number 0 at byte {position}")
        if kind == VARINT:
            value, position = read_varint(data, position)
            yield number, kind, value
            continue
        if kind == LENGTH_DELIMITED:
            length, position = read_varint(data, position)
        elif kind in (FIXED64, FIXED32):
            length = 8 if kind == FIXED64 else 4
        else:
            raise CheckpointError(f"damaged: unknown wire type {kind} at byte {position}")
        if position + length > len(data):
            raise CheckpointError(
                f"cut short or damaged: field {number} would end at byte {position + length} of "
                f"{len(data)}"
            )
        content = data[position : position + length]
        position += length
        if kind == LENGTH_DELIMITED:
            yield number, kind, content
        else:
            yield number, kind, int.from_bytes(content, "little")


def text(value: int | memoryview) -> str:
    """Return a field as UTF-8 text.

    Raises:
        CheckpointError: it is none.
    """
    if isinstance(value, int):
        raise CheckpointError("damaged: a number stands where a text is expected")
    try:
        return bytes(value).decode("utf-8")
    except UnicodeDecodeError as error:
        raise CheckpointError(f"damaged: a name is not UTF-8: {error}") from None


def message(value: int | memoryview) -> memoryview:
    """Return a field as the bytes of a message.

    Raises:
        CheckpointError: it is a number.
    """
    if isinstance(value, int):
        raise CheckpointError("damaged: a number stands where a message is expected")
    return value


def number(value: int | memoryview) -> int:
    """Return a field as a number.

    Raises:
        CheckpointError: it is none.
    """
    if not isinstance(value, int):
        raise CheckpointError("damaged: bytes stand where a number is expected")
    return value
