"""A folder of results that appears complete or not at all."""

import os
import re
import shutil
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from mindmlm.errors import DataError
from mindmlm.runtime.files import sync_directory

_PARTIAL = ".partial"
KEPT_FOLDERS = 8
_KEY = re.compile("[0-9a-f]{32}")


def cached_folder(
    cache_dir: Path, key: str, build: Callable[[Path], None], check: Callable[[Path], None]
) -> Path:
    """Return ``cache_dir/key``, built first when it is missing or damaged.

    Whoever builds removes the folders that were used longest ago, so that `KEPT_FOLDERS` stay. A
    process that has one of them open goes on reading it.

    Args:
        cache_dir: made when missing; folders that dead processes of this machine left half
            written are removed.
        key: names the contents; hexadecimal digits.
        build: fills an empty folder, which is renamed afterwards.
        check: raises `DataError` when a finished folder is damaged.

    Raises:
        DataError: from ``build``, or the cache folder cannot be written.
    """
    folder = cache_dir / key
    try:
        if folder.exists() and _is_sound(folder, check):
            with suppress(PermissionError):
                os.utime(folder)
            return folder
        cache_dir.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(cache_dir)
        _build_and_rename(folder, build)
        _remove_oldest(cache_dir)
    except OSError as error:
        raise DataError(f"{cache_dir}: cannot write prepared data: {error}") from error
    return folder


def _is_sound(folder: Path, check: Callable[[Path], None]) -> bool:
    try:
        check(folder)
    except DataError:
        # Renamed first: another process must never open it while it is being removed.
        retired = _partial_of(folder)
        folder.rename(retired)
        shutil.rmtree(retired)
        return False
    return True


def _build_and_rename(folder: Path, build: Callable[[Path], None]) -> None:
    partial = _partial_of(folder)
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        build(partial)
        sync_directory(partial)
        try:
            partial.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
            # Another process was faster with the same contents.
            shutil.rmtree(partial)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    sync_directory(folder.parent)


def _partial_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.{socket.gethostname()}.{os.getpid()}{_PARTIAL}")


def _remove_abandoned(cache_dir: Path) -> None:
    for path in cache_dir.glob(f"*.{socket.gethostname()}.*{_PARTIAL}"):
        process = path.name.removesuffix(_PARTIAL).rpartition(".")[2]
        if process.isdecimal() and not _is_alive(int(process)):
            shutil.rmtree(path, ignore_errors=True)


def _remove_oldest(cache_dir: Path) -> None:
    """Remove finished folders but the ones used last; anything else that lies there stays."""
    folders = [path for path in cache_dir.iterdir() if _KEY.fullmatch(path.name) and path.is_dir()]
    folders.sort(key=lambda path: path.stat().st_mtime_ns)
    for path in folders[:-KEPT_FOLDERS]:
        # Renamed first: nobody may find it half removed.
        retired = _partial_of(path)
        with suppress(OSError):
            path.rename(retired)
        shutil.rmtree(retired, ignore_errors=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
