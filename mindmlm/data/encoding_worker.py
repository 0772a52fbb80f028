"""A process that encodes documents: `python -m mindmlm.data.encoding_worker`, run by the pool.

It speaks in frames over standard input and output, so it needs neither the main module of the
program that started it (as `multiprocessing` does) nor pickle.
"""

import json
import os
import signal
import struct
import sys
from contextlib import suppress
from dataclasses import fields
from typing import IO, Any

import numpy as np

from mindmlm.data.encoding import EncodedChunk, make_encoder
from mindmlm.data.segmentation import SegmenterOptions
from mindmlm.tokenizers.files import tokenizer_from_setup

_LENGTH = struct.Struct("<Q")


def write_json(stream: IO[bytes], value: Any) -> None:
    """Send one JSON value."""
    data = json.dumps(value).encode()
    stream.write(_LENGTH.pack(len(data)))
    stream.write(data)
    stream.flush()


def read_json(stream: IO[bytes]) -> Any:
    """Receive one JSON value.

    Raises:
        EOFError: the other side has ended.
    """
    (length,) = _LENGTH.unpack(_read_exactly(stream, _LENGTH.size))
    return json.loads(_read_exactly(stream, length))


def write_chunk(stream: IO[bytes], chunk: EncodedChunk) -> None:
    """Send the arrays of a chunk: a JSON header, then their bytes."""
    arrays = [np.ascontiguousarray(getattr(chunk, field.name)) for field in fields(chunk)]
    write_json(stream, [[array.dtype.str, len(array)] for array in arrays])
    for array in arrays:
        stream.write(array.tobytes())
    stream.flush()


def read_chunk(stream: IO[bytes]) -> EncodedChunk:
    """Receive what `write_chunk` sent.

    Raises:
        EOFError: the other side has ended.
    """
    arrays = []
    for dtype_name, count in read_json(stream):
        dtype = np.dtype(dtype_name)
        arrays.append(np.frombuffer(_read_exactly(stream, count * dtype.itemsize), dtype))
    return EncodedChunk(*arrays)


def _read_exactly(stream: IO[bytes], count: int) -> bytes:
    data = stream.read(count)
    if len(data) < count:
        raise EOFError("the other process has ended")
    return data


def serve(requests: IO[bytes], replies: IO[bytes]) -> None:
    """Encode until the requests end; the first one describes tokenizer and segmenter."""
    setup = read_json(requests)
    tokenizer = tokenizer_from_setup(setup["tokenizer"])
    options = SegmenterOptions(tuple(setup["user_words"]), setup["hmm"])
    encoder = make_encoder(tokenizer, setup["segmenter"], options)
    while True:
        try:
            documents, references = read_json(requests)
        except EOFError:
            return
        write_chunk(replies, encoder.encode(documents, references))


def main() -> None:
    """Serve on the standard streams; whatever else prints goes to standard error."""
    # Ctrl-C reaches the whole process group; the parent decides and closes our input.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    with suppress(BrokenPipeError):
        serve(sys.stdin.buffer, replies)


if __name__ == "__main__":
    main()
