"""Text from a pipe, kept so that it can be read more than once."""

import hashlib
import sys
import tempfile
from pathlib import Path
from typing import BinaryIO

from mindmlm.data.sources.stored_file import SpooledFile
from mindmlm.errors import DataError

_BLOCK = 1 << 20


def spool(stream: BinaryIO, folder: Path) -> SpooledFile:
    """Copy a stream to an unnamed file in ``folder``, which is made when missing.

    A vocabulary is trained on the text before it is encoded, so it is read twice.

    Raises:
        DataError: the disk is full, or the folder cannot be written.
    """
    digest = hashlib.blake2b(digest_size=16)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
        while block := stream.read(_BLOCK):
            digest.update(block)
            file.write(block)
        file.flush()
    except OSError as error:
        raise DataError(f"standard input: cannot keep it in {folder}: {error.strerror}") from None
    return SpooledFile(file, digest.hexdigest())


def spool_standard_input(folder: Path) -> SpooledFile:
    """Copy standard input; see `spool`.

    Raises:
        DataError: it is a terminal, or was read before.
    """
    stream = sys.stdin
    if stream is None or stream.closed:
        raise DataError("standard input is closed; give a file, or pipe text into the command")
    if stream.isatty():
        raise DataError(
            "dataset_dir is -, standard input, which is the keyboard here; pipe text into the "
            "command (zcat news.txt.gz | ...) or give a file"
        )
    return spool(stream.buffer, folder)
