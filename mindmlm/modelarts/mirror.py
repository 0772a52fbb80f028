"""Taking an output folder to another place while it grows: what is new, in an order that is safe.

A checkpoint counts in the remote place once its `manifest.json` is there, which is uploaded after
everything else of it; `checkpoint/latest` follows. So an upload may be cut short at any byte.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from mindmlm.checkpoint.manifest import DIGEST_NAME, MANIFEST_NAME
from mindmlm.checkpoint.naming import (
    CHECKPOINT_FOLDER,
    LATEST_NAME,
    parse_step_name,
    step_folders,
)
from mindmlm.modelarts.ledger import Ledger, local_mark
from mindmlm.modelarts.patience import Patience
from mindmlm.modelarts.remote import Remote

LEDGER = ".uploaded.json"
_NOT_UPLOADED_FOLDERS = ("dataset_cache", CHECKPOINT_FOLDER)
_NOT_UPLOADED_ENDS = (".tmp", ".part", ".lock")


@dataclass
class Mirror:
    """Uploads an output folder; one process of a machine at a time, see `MachineLock`.

    Args:
        output: `output_dir` of the run.
        remote: where it goes.
        keep: number of checkpoints to keep there, at least 1.
        say: prints a line.
        patience: with the network.
    """

    output: Path
    remote: Remote
    keep: int
    say: Callable[[str], None]
    patience: Patience = field(default_factory=Patience)

    def upload_new(self) -> int:
        """Upload every file that is new or has changed, checkpoints last; how many these were.

        What a checkpoint of the remote folder was replaced by is deleted there, newest kept. Files
        that nobody here has uploaded or downloaded are never touched.

        Raises:
            OSError: a file could not be uploaded; those before it are.
        """
        ledger = Ledger(self.output / LEDGER)
        count = sum(self._upload(name, ledger) for name in self._plain_files())
        root = self.output / CHECKPOINT_FOLDER
        if not root.is_dir():
            return count
        for name, folder in step_folders(root):
            if not name.mark:
                count += self._upload_step(folder, ledger)
        count += self._upload_latest(root / LATEST_NAME, ledger)
        self._prune(ledger)
        return count

    def _plain_files(self) -> Iterator[str]:
        """Logs, metrics, vocabulary, configuration: all but checkpoints and caches."""
        for path in sorted(self.output.rglob("*")):
            name = path.relative_to(self.output)
            hidden = any(part.startswith(".") for part in name.parts)
            skipped = name.parts[0] in _NOT_UPLOADED_FOLDERS or path.suffix in _NOT_UPLOADED_ENDS
            if not hidden and not skipped and path.is_file() and not path.is_symlink():
                yield str(name)

    def _upload(self, name: str, ledger: Ledger) -> bool:
        """Upload one file if it is not there in this state; whether it was."""
        path = self.output / name
        try:
            # Taken before the upload: a file that grows meanwhile is uploaded again.
            mark = local_mark(path)
            if ledger.has(name, mark):
                return False
            self.patience(
                f"{self.remote.url}/{name}: upload", lambda: self.remote.upload(path, name)
            )
        except FileNotFoundError:
            if path.exists():
                raise
            return False  # the run has deleted it
        ledger.add(name, mark)
        return True

    def _upload_step(self, folder: Path, ledger: Ledger) -> int:
        """Upload a checkpoint, its manifest last.

        The run may have saved the step again, going back to an earlier one. Then the manifest goes
        first: files of two checkpoints must not look like one.
        """
        prefix = f"{CHECKPOINT_FOLDER}/{folder.name}/"
        with suppress(FileNotFoundError):  # the run has deleted it
            names = [prefix + path.name for path in folder.iterdir()]
            if all(ledger.has(name, local_mark(self.output / name)) for name in names):
                return 0
            if prefix + MANIFEST_NAME in ledger.names():
                self._delete([prefix + MANIFEST_NAME], ledger)
            last = (prefix + DIGEST_NAME, prefix + MANIFEST_NAME)
            ordered = [*(name for name in sorted(names) if name not in last), *last]
            count = sum(self._upload(name, ledger) for name in ordered)
            if prefix + MANIFEST_NAME in ledger.names():
                self.say(f"uploaded {folder.name} to {self.remote.url}")
            return count
        return 0

    def _upload_latest(self, path: Path, ledger: Ledger) -> bool:
        """Name the newest checkpoint, once it is there."""
        try:
            step = path.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            return False
        if f"{CHECKPOINT_FOLDER}/{step}/{MANIFEST_NAME}" not in ledger.names():
            return False
        return self._upload(f"{CHECKPOINT_FOLDER}/{LATEST_NAME}", ledger)

    def _prune(self, ledger: Ledger) -> None:
        """Delete the checkpoints that the run has deleted, beyond the number to keep."""
        steps = uploaded_steps(ledger.names())
        here = {folder.name for name, folder in step_folders(self.output / CHECKPOINT_FOLDER)}
        complete = sorted(
            (step for step, names in steps.items() if MANIFEST_NAME in names),
            key=step_number,
            reverse=True,
        )
        for step in set(steps) - here - set(complete[: self.keep]):
            names = sorted(steps[step], key=lambda name: name != MANIFEST_NAME)
            self._delete([f"{CHECKPOINT_FOLDER}/{step}/{name}" for name in names], ledger)

    def _delete(self, names: list[str], ledger: Ledger) -> None:
        for name in names:
            self.patience(f"{self.remote.url}/{name}: deletion", partial(self.remote.delete, name))
            ledger.remove({name})


def uploaded_steps(names: set[str]) -> dict[str, set[str]]:
    """Steps by the names of their folders, with the files of each, from names of all files."""
    steps: dict[str, set[str]] = {}
    for name in names:
        parts = name.split("/")
        if len(parts) == 3 and parts[0] == CHECKPOINT_FOLDER:
            step = parse_step_name(parts[1])
            if step is not None and not step.mark:
                steps.setdefault(parts[1], set()).add(parts[2])
    return steps


def step_number(folder_name: str) -> int:
    """The step of the name of a checkpoint's folder."""
    name = parse_step_name(folder_name)
    assert name is not None, "such names are chosen by uploaded_steps or step_folders"
    return name.step
