"""Finding the checkpoint that a user means: a step, a run's folder, or ``latest``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mindmlm.checkpoint.manifest import MANIFEST_NAME, read_manifest, read_small_file
from mindmlm.checkpoint.naming import (
    CHECKPOINT_FOLDER,
    LATEST_NAME,
    by_recency,
    parse_step_name,
    step_folders,
)
from mindmlm.checkpoint.reader import Checkpoint, read_checkpoint, verify_checkpoint
from mindmlm.errors import CheckpointError


@dataclass(frozen=True)
class Resolved:
    """The checkpoint that was found, verified, and those passed over with the reason of each."""

    checkpoint: Checkpoint
    refused: list[tuple[Path, str]]

    @property
    def path(self) -> Path:
        """Folder of the checkpoint."""
        return self.checkpoint.path


def resolve_checkpoint(path: str, output_dir: Path) -> Resolved:
    """Find and verify the checkpoint that the key ``load_checkpoint`` means.

    Args:
        path: ``latest``, the newest good checkpoint of this run; or a folder, see `find_in_folder`.
        output_dir: output folder of this run.

    Raises:
        CheckpointError: nothing there, or nothing that verifies; the message says where it looked.
    """
    if path == LATEST_NAME:
        return _newest_good(output_dir / CHECKPOINT_FOLDER)
    return find_in_folder(Path(path))


def find_in_folder(folder: Path) -> Resolved:
    """Find and verify the checkpoint that ``folder`` stands for.

    A run's output folder or its ``checkpoint`` folder stands for the checkpoint that the file
    ``latest`` names. If that one is damaged, the newest good one is taken and the others are
    reported. The folder of one step stands for that step: if it is damaged, nothing else is tried.

    Raises:
        CheckpointError: see `resolve_checkpoint`.
    """
    if not folder.exists():
        raise CheckpointError(
            f"no checkpoint at {folder}: there is no such folder. Give 'latest', the output folder "
            "of a run, or the folder of one step (.../checkpoint/step_00000050)"
        )
    if not folder.is_dir():
        raise CheckpointError(
            f"no checkpoint at {folder}: this is a file. Give the folder of a step"
        )
    if (folder / MANIFEST_NAME).exists() or parse_step_name(folder.name) is not None:
        return Resolved(checkpoint=read_checkpoint(folder), refused=[])
    if (folder / CHECKPOINT_FOLDER).is_dir():
        return _newest_good(folder / CHECKPOINT_FOLDER)
    if step_folders(folder) or (folder / LATEST_NAME).is_file():
        return _newest_good(folder)
    raise CheckpointError(
        f"no checkpoint at {folder}: neither a step ({MANIFEST_NAME} is missing) nor a run's "
        f"output folder (there is no {CHECKPOINT_FOLDER} folder in it)"
    )


def recorded_config(folder: Path) -> dict[str, Any] | None:
    """Return the configuration of the run that wrote the checkpoint which ``folder`` stands for.

    Only manifests are read, no tensors: whether the checkpoint is good shows when it is loaded, and
    where an older one of the run is taken then, its configuration is the same.

    Args:
        folder: see `find_in_folder`.

    Returns:
        Plain data; None where there is no manifest to read.
    """
    if (folder / CHECKPOINT_FOLDER).is_dir():
        folder = folder / CHECKPOINT_FOLDER
    if (folder / MANIFEST_NAME).exists():
        candidates = [folder]
    else:
        try:
            candidates = _candidates(folder, [])
        except OSError:
            return None
    for candidate in candidates:
        try:
            return read_manifest(candidate).config
        except CheckpointError:
            continue
    return None


def _newest_good(root: Path) -> Resolved:
    if not root.is_dir():
        raise CheckpointError(f"no checkpoint was saved yet: {root} is not there")
    refused: list[tuple[Path, str]] = []
    for candidate in _candidates(root, refused):
        try:
            return Resolved(checkpoint=verify_checkpoint(candidate), refused=refused)
        except CheckpointError as error:
            refused.append((candidate, str(error)))
    if not refused:
        raise CheckpointError(f"no checkpoint was saved yet: {root} is empty")
    reasons = "".join(f"\n  {path}: {reason}" for path, reason in refused)
    raise CheckpointError(f"no usable checkpoint in {root}:{reasons}")


def _candidates(root: Path, refused: list[tuple[Path, str]]) -> list[Path]:
    """List the checkpoints to try; a ``latest`` file that is of no use is added to ``refused``."""
    try:
        named = _read_latest(root / LATEST_NAME)
    except CheckpointError as error:
        refused.append((root / LATEST_NAME, str(error)))
        return by_recency(root, current=None)
    name = parse_step_name(named)
    candidates = by_recency(root, current=name.step if name else None)
    if root / named not in candidates:
        refused.append((root / named, "latest names it, but there is no such folder"))
    return candidates


def _read_latest(path: Path) -> str:
    text = read_small_file(path, 64).decode("ascii", errors="replace").strip()
    name = parse_step_name(text)
    if name is None or name.mark:
        raise CheckpointError(f"it holds {text!r}, which is not the name of a step")
    return text
