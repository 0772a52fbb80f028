"""Old checkpoints and the leftovers of killed runs are taken away here."""

import logging
import shutil
from pathlib import Path

from mindmlm.checkpoint.naming import (
    SET_ASIDE,
    TEMPORARY,
    TRASH,
    by_recency,
    marked,
    step_folders,
    step_name,
)

logger = logging.getLogger(__name__)


def discard(folder: Path) -> None:
    """Delete a checkpoint; renamed first, so that a half-deleted one never looks complete.

    Raises:
        OSError: it cannot be renamed or deleted.
    """
    trash = folder.with_name(folder.name.removesuffix(SET_ASIDE) + TRASH)
    if trash.exists():
        shutil.rmtree(trash)
    folder.rename(trash)
    shutil.rmtree(trash)


def clean_leftovers(root: Path) -> None:
    """Finish what a killed run left in ``root``.

    Half-written and half-deleted folders go. A checkpoint set aside for a replacement that never
    came gets its name back.

    Raises:
        OSError: a folder cannot be renamed or deleted.
    """
    for name, folder in step_folders(root):
        committed = root / step_name(name.step)
        if name.mark in (TEMPORARY, TRASH):
            shutil.rmtree(folder)
        elif name.mark == SET_ASIDE and committed.exists():
            discard(folder)
        elif name.mark == SET_ASIDE:
            folder.rename(committed)


def prune(root: Path, newest: int, keep: int) -> None:
    """Keep ``keep`` checkpoints, the one of step ``newest`` always among them.

    What it replaced goes first, then checkpoints beyond ``newest``, which belong to a run that
    somebody went back from, then the oldest. A folder that cannot be deleted is reported in the
    log and left: the new checkpoint is safe.
    """
    replaced = marked(root / step_name(newest), SET_ASIDE)
    surplus = [folder for folder in by_recency(root, newest) if folder != replaced][keep:]
    for folder in [replaced, *surplus] if replaced.exists() else surplus:
        try:
            discard(folder)
        except OSError as error:
            logger.warning("the old checkpoint %s could not be deleted: %s", folder, error)


def set_aside(folder: Path) -> Path:
    """Rename a checkpoint that is about to be replaced; readers still accept it by its mark.

    Raises:
        OSError: it cannot be renamed.
    """
    aside = marked(folder, SET_ASIDE)
    folder.rename(aside)
    return aside
