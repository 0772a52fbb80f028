"""A folder or a file that appears at its place whole, or not at all."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mindmlm.errors import CheckpointError
from mindmlm.runtime.files import sync_directory

_TEMPORARY = ".tmp"


def refuse_existing(path: Path) -> None:
    """Check that nothing would be overwritten; an empty folder is fine.

    Raises:
        CheckpointError: something is there.
    """
    if path.is_dir() and not any(path.iterdir()):
        return
    if path.exists() or path.is_symlink():
        raise CheckpointError(f"--output: {path} exists; nothing is overwritten, name another")


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Give a temporary folder to fill, which is renamed to ``path`` when the block succeeds.

    Raises:
        CheckpointError: ``path`` exists, or something cannot be written.
    """
    refuse_existing(path)
    temporary = path.with_name(path.name + _TEMPORARY)
    with _explained(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # What a killed conversion of the same name left.
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir()
            yield temporary
            sync_directory(temporary)
            if path.is_dir():
                path.rmdir()
            temporary.rename(path)
            sync_directory(path.parent)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise


@contextmanager
def new_file_at(path: Path) -> Iterator[Path]:
    """Give a temporary path to write to, which is renamed to ``path`` when the block succeeds.

    Raises:
        CheckpointError: ``path`` exists, or it cannot be written.
    """
    refuse_existing(path)
    temporary = path.with_name(path.name + _TEMPORARY)
    with _explained(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.unlink(missing_ok=True)
            yield temporary
            temporary.rename(path)
            sync_directory(path.parent)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CheckpointError(
            f"--output: {path} could not be written: {error.strerror or error}; nothing was left "
            "there"
        ) from error
