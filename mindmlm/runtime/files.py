"""Files that survive a power cut: written aside, synchronised to the disk, then renamed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


def sync_directory(path: Path) -> None:
    """Force the entries of folder ``path`` (new names, renames) to the disk.

    Raises:
        OSError: the folder cannot be opened or synchronised.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """Create ``path``, which must not exist, and force its bytes to the disk at the end.

    The folder entry is not synchronised: call `sync_directory` once after the last file.

    Raises:
        OSError: the file exists already or cannot be written.
    """
    with path.open("xb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """Replace ``path`` by what the block writes, or leave it as it was when the block fails.

    The bytes go to ``NAME.tmp`` in the same folder first; one process at a time may write a path.

    Raises:
        OSError: a write, the synchronisation or the rename failed; ``path`` is unchanged then.
    """
    temporary = path.with_name(path.name + ".tmp")
    temporary.unlink(missing_ok=True)
    try:
        with new_file(temporary) as file:
            yield file
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def write_bytes_atomic(path: Path, data: bytes) -> None:
    """Replace the contents of ``path`` by ``data``: a reader sees the old or the new ones.

    Raises:
        OSError: see `atomic_file`.
    """
    with atomic_file(path) as file:
        file.write(data)


def write_text_atomic(path: Path, text: str) -> None:
    """Replace the contents of ``path`` by ``text`` in UTF-8; see `write_bytes_atomic`."""
    write_bytes_atomic(path, text.encode("utf-8"))
