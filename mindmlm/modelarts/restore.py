"""Going on where the job stood before the platform restarted it on an empty machine."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from mindmlm.checkpoint.manifest import DIGEST_NAME, MANIFEST_NAME
from mindmlm.checkpoint.naming import (
    CHECKPOINT_FOLDER,
    LATEST_NAME,
    step_folders,
)
from mindmlm.checkpoint.reader import verify_checkpoint
from mindmlm.errors import CheckpointError
from mindmlm.modelarts.download import Downloader
from mindmlm.modelarts.ledger import Ledger, local_mark
from mindmlm.modelarts.machine_lock import MachineLock
from mindmlm.modelarts.mirror import LEDGER, step_number, uploaded_steps
from mindmlm.modelarts.remote import Remote, RemoteEntry
from mindmlm.runtime.files import sync_directory, write_text_atomic

_LOCK = ".restore.lock"


def restore(output: Path, remote: Remote, downloader: Downloader, checkpoint: bool) -> bool:
    """Bring back what an earlier start of the job has uploaded: once a machine.

    Files that are here already stay as they are. The newest checkpoint that verifies is taken,
    unless this machine has one as new.

    Args:
        output: `output_dir` of the run.
        remote: where the job uploads to.
        downloader: of this process.
        checkpoint: whether a checkpoint is wanted, or only logs, metrics and the like.

    Returns:
        Whether `output` holds a checkpoint now.

    Raises:
        DataError, CopyError, WaitedTooLongError: see `Downloader.fetch`.
    """
    output.mkdir(parents=True, exist_ok=True)
    lock = MachineLock(output / _LOCK, f"restoring {remote.url}", downloader.platform.rank)
    lock.take(downloader.platform.wait_seconds, downloader.say)
    try:
        restoring = _Restoring(output, remote, downloader, lock)
        listed = downloader.listing(remote)
        restoring.plain_files(listed)
        if checkpoint:
            restoring.checkpoint(listed)
        return bool(_complete_here(output))
    finally:
        lock.release()


class _Restoring:
    """The parts of `restore`, under the lock."""

    def __init__(
        self, output: Path, remote: Remote, downloader: Downloader, lock: MachineLock
    ) -> None:
        self._output = output
        self._remote = remote
        self._downloader = downloader
        self._lock = lock
        self._uploaded = Ledger(output / LEDGER)

    def plain_files(self, listed: Mapping[str, RemoteEntry]) -> None:
        """All that is no checkpoint and not here; the logs go on where they ended."""
        wanted = {
            name: entry
            for name, entry in listed.items()
            if not name.startswith(CHECKPOINT_FOLDER + "/") and not (self._output / name).exists()
        }
        self._copy(wanted, self._output)
        for name in wanted:
            self._uploaded.add(name, local_mark(self._output / name))

    def checkpoint(self, listed: Mapping[str, RemoteEntry]) -> None:
        """The newest one that is good; those that are not are named and passed over."""
        remote_steps = uploaded_steps(set(listed))
        complete = [
            step for step, names in remote_steps.items() if {MANIFEST_NAME, DIGEST_NAME} <= names
        ]
        newest_here = max(map(step_number, _complete_here(self._output)), default=-1)
        # Those that stay in the remote place are kept and deleted by the rules of this run.
        known = self._uploaded.names()
        for step, names in remote_steps.items():
            for name in (f"{CHECKPOINT_FOLDER}/{step}/{name}" for name in names):
                if name not in known:
                    self._uploaded.add(name, "of an earlier start")
        for step in sorted(complete, key=step_number, reverse=True):
            if step_number(step) <= newest_here:
                return
            if self._take_step(step, listed):
                return

    def _take_step(self, step: str, listed: Mapping[str, RemoteEntry]) -> bool:
        prefix = f"{CHECKPOINT_FOLDER}/{step}/"
        root = self._output / CHECKPOINT_FOLDER
        wanted = {name: entry for name, entry in listed.items() if name.startswith(prefix)}
        into = self._output / ".restored"
        try:
            self._copy(wanted, into)
            verify_checkpoint(into / prefix)
            root.mkdir(exist_ok=True)
            (into / prefix).rename(root / step)
        except CheckpointError as error:
            self._downloader.say(f"{self._remote.url}/{prefix} is passed over: {error}")
            return False
        finally:
            shutil.rmtree(into, ignore_errors=True)
        sync_directory(root)
        write_text_atomic(root / LATEST_NAME, step + "\n")
        for name in wanted:
            self._uploaded.add(name, local_mark(self._output / name))
        self._downloader.say(f"going on from {step} of {self._remote.url}")
        return True

    def _copy(self, wanted: Mapping[str, RemoteEntry], target: Path) -> None:
        if wanted:
            target.mkdir(parents=True, exist_ok=True)
            path = self._output / ".restoring.json"
            self._downloader.copy(self._remote, wanted, target, Ledger(path), self._lock.note)
            path.unlink(missing_ok=True)


def _complete_here(output: Path) -> list[str]:
    """Names of the checkpoints that the output folder has."""
    root = output / CHECKPOINT_FOLDER
    if not root.is_dir():
        return []
    return [folder.name for name, folder in step_folders(root) if not name.mark]
