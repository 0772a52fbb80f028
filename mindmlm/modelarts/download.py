"""Bringing files to this machine, once for all of its processes."""

import hashlib
import os
import re
import shutil
import sys
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from mindmlm.errors import DataError, MindmlmError
from mindmlm.modelarts.ledger import Ledger
from mindmlm.modelarts.machine_lock import MachineLock
from mindmlm.modelarts.patience import Patience, is_full
from mindmlm.modelarts.platform import Platform
from mindmlm.modelarts.remote import Remote, RemoteEntry, check_name
from mindmlm.runtime.files import sync_directory

_FILES_AT_ONCE = 4
_PART = ".part"
_NOTE_SECONDS = 2.0

Say = Callable[[str], None]


class CopyError(MindmlmError):
    """Files could not be brought here or taken away."""


@dataclass
class Downloader:
    """Downloads for the processes of a machine.

    Args:
        platform: this process.
        say: prints a line.
        patience: with the network.
    """

    platform: Platform
    say: Say
    patience: Patience = field(default_factory=Patience)

    def fetch(self, remote: Remote, kind: str, wanted: Callable[[str], bool]) -> Path:
        """Bring files to the cache; what is there already and has not changed is not read again.

        Args:
            remote: where they are.
            kind: folder in the cache: dataset, checkpoint, vocabulary.
            wanted: chooses files by their names.

        Returns:
            The folder of the copy, which holds these files and no others.

        Raises:
            DataError: there are none, keys are wrong, or a name is not allowed.
            CopyError: the store cannot be reached, or the disk is full.
            WaitedTooLongError: another process of this machine did not finish in time.
        """
        target = self.platform.usable_cache() / kind / _folder_name(remote.url)
        lock = MachineLock(
            target.with_name(target.name + ".lock"),
            f"downloading {remote.url}",
            self.platform.rank,
        )
        lock.take(self.platform.wait_seconds, self.say)
        try:
            listed = {name: entry for name, entry in self.listing(remote).items() if wanted(name)}
            if not listed:
                raise DataError(f"{remote.url}: there are no such files")
            target.mkdir(parents=True, exist_ok=True)
            # Beside the folder, not in it: a run reads what is in it.
            ledger = Ledger(target.with_name(target.name + ".json"))
            self.copy(remote, listed, target, ledger, lock.note)
            _remove_others(target, listed, ledger)
        finally:
            lock.release()
        return target

    def listing(self, remote: Remote) -> dict[str, RemoteEntry]:
        """The files of a remote folder.

        Raises:
            DataError: keys are wrong, or a name leads out of the folder.
            CopyError: it cannot be reached.
        """
        try:
            listed = self.patience(f"{remote.url}: listing", remote.files)
        except PermissionError as error:
            raise refused(remote, error) from None
        except OSError as error:
            raise CopyError(f"{remote.url}: cannot be listed: {error}") from None
        return {check_name(name, remote.url): entry for name, entry in listed.items()}

    def copy(
        self,
        remote: Remote,
        listed: Mapping[str, RemoteEntry],
        target: Path,
        ledger: Ledger,
        note: Say,
    ) -> None:
        """Copy those files that `target` does not have yet, a few at a time.

        Raises:
            DataError, CopyError: see `fetch`.
        """
        missing = {
            name: entry for name, entry in listed.items() if not _has(target, name, entry, ledger)
        }
        total = sum(entry.size for entry in missing.values())
        if not missing:
            return
        _check_room(remote, target, total)
        self.say(f"downloading {len(missing)} files, {total:,} bytes, from {remote.url}")
        with _Progress(total, note) as progress, ThreadPoolExecutor(_FILES_AT_ONCE) as pool:
            jobs = [
                pool.submit(self._copy_file, remote, name, entry, target / name, progress.advance)
                for name, entry in missing.items()
            ]
            try:
                for (name, entry), job in zip(missing.items(), jobs, strict=True):
                    job.result()
                    ledger.add(name, _mark(entry))
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    def _copy_file(
        self,
        remote: Remote,
        name: str,
        entry: RemoteEntry,
        target: Path,
        advance: Callable[[int], None],
    ) -> None:
        """One file, aside first."""
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(target.name + _PART)
        come = 0

        def count(size: int) -> None:
            nonlocal come
            come += size
            advance(size)

        def once() -> None:
            nonlocal come
            advance(-come)
            come = 0
            remote.download(name, part, count)
            if part.stat().st_size != entry.size:
                raise OSError(f"{part.stat().st_size:,} bytes came instead of {entry.size:,}")
            _sync(part)

        try:
            self.patience(f"{remote.url}/{name}", once)
            part.replace(target)
            sync_directory(target.parent)
        except PermissionError as error:
            raise refused(remote, error) from None
        except OSError as error:
            if is_full(error):
                raise _no_room(remote, target, entry.size) from None
            raise CopyError(f"{remote.url}/{name}: cannot be downloaded: {error}") from None
        finally:
            part.unlink(missing_ok=True)


def refused(remote: Remote, error: OSError) -> DataError:
    """The error for wrong or missing keys."""
    return DataError(
        f"{remote.url}: access denied: {error}; are the keys in the environment those of this "
        "store (OBS_ACCESS_KEY_ID and OBS_SECRET_ACCESS_KEY for obs://, AWS_... for s3://, or the "
        "S3_... that ModelArts sets), and may they read and write there?"
    )


class _Progress:
    """A bar on a terminal, and now and then a note for those who wait."""

    def __init__(self, total: int, note: Say) -> None:
        self._total = total
        self._note = note
        self._come = 0
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._bar = tqdm(total=total, unit="B", unit_scale=True, disable=not sys.stderr.isatty())
        self._notes = threading.Thread(target=self._take_notes, daemon=True)

    def __enter__(self) -> "_Progress":
        self._notes.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._done.set()
        self._notes.join()
        self._bar.close()

    def advance(self, size: int) -> None:
        """So many bytes more have come."""
        with self._lock:
            self._come += size
            self._bar.update(size)

    def _take_notes(self) -> None:
        while not self._done.wait(_NOTE_SECONDS):
            with suppress(OSError):  # the disk may be full; the download itself will say so
                self._note(f"{self._come:,} of {self._total:,} bytes")


def _folder_name(url: str) -> str:
    """A name that a person recognises and that no other address has."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", url.rstrip("/").rpartition("/")[2])[:60]
    return f"{plain}-{hashlib.sha256(url.encode()).hexdigest()[:10]}"


def _mark(entry: RemoteEntry) -> str:
    return f"{entry.size} {entry.stamp}"


def _has(target: Path, name: str, entry: RemoteEntry, ledger: Ledger) -> bool:
    path = target / name
    return ledger.has(name, _mark(entry)) and path.is_file() and path.stat().st_size == entry.size


def _remove_others(target: Path, listed: Mapping[str, RemoteEntry], ledger: Ledger) -> None:
    """Take away what the remote folder no longer has: a run would read it."""
    for path in sorted(target.rglob("*")):
        if path.is_file() and str(path.relative_to(target)) not in listed:
            path.unlink()
    ledger.remove(ledger.names() - listed.keys())


def _check_room(remote: Remote, target: Path, total: int) -> None:
    if total > shutil.disk_usage(target).free:
        raise _no_room(remote, target, total)


def _no_room(remote: Remote, target: Path, size: int) -> CopyError:
    free = shutil.disk_usage(target.parent).free
    return CopyError(
        f"{remote.url}: {size:,} bytes do not fit on the disk of {target.parent}, which has "
        f"{free:,} free; delete something there, or set MINDMLM_CACHE_ROOT to a larger disk"
    )


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
