"""Names inside a checkpoint folder: ``step_00000050``, ``latest`` and the marks of unfinished work.

``.tmp`` is being written, ``.trash`` is being deleted, ``.old`` is a complete checkpoint that
another one of the same step is about to replace.
"""

import re
from dataclasses import dataclass
from pathlib import Path

CHECKPOINT_FOLDER = "checkpoint"
LATEST_NAME = "latest"
TEMPORARY = ".tmp"
TRASH = ".trash"
SET_ASIDE = ".old"

_STEP_NAME = re.compile(r"step_(\d{8,18})(\.tmp|\.trash|\.old)?")


@dataclass(frozen=True)
class StepName:
    """What a folder's name says: its step and its mark ('' for a committed checkpoint)."""

    step: int
    mark: str


def step_name(step: int) -> str:
    """Return the folder name of ``step``, at least eight digits wide."""
    if step < 0:
        raise ValueError(f"a step cannot be negative: {step}")
    return f"step_{step:08d}"


def parse_step_name(name: str) -> StepName | None:
    """Read a folder name; None when it is not the canonical name of a step."""
    match = _STEP_NAME.fullmatch(name)
    if match is None:
        return None
    found = StepName(step=int(match[1]), mark=match[2] or "")
    return found if step_name(found.step) + found.mark == name else None


def marked(folder: Path, mark: str) -> Path:
    """Return the path beside ``folder`` that carries ``mark``."""
    return folder.with_name(folder.name + mark)


def step_folders(root: Path) -> list[tuple[StepName, Path]]:
    """List the step folders of ``root`` with any mark, links left out, in order of their names."""
    found = []
    for entry in sorted(root.iterdir(), key=lambda path: path.name):
        name = parse_step_name(entry.name)
        if name is not None and entry.is_dir() and not entry.is_symlink():
            found.append((name, entry))
    return found


def by_recency(root: Path, current: int | None) -> list[Path]:
    """List the complete checkpoints of ``root``, the one to prefer first.

    Going back to an earlier step leaves later checkpoints of the abandoned run behind. So those
    up to ``current`` come first, newest first, and those beyond it last. ``current`` None means
    that no step is preferred.
    """

    def preference(item: tuple[StepName, Path]) -> tuple[bool, int, bool]:
        name, _ = item
        return (current is not None and name.step > current, -name.step, bool(name.mark))

    complete = [item for item in step_folders(root) if item[0].mark in ("", SET_ASIDE)]
    return [path for _, path in sorted(complete, key=preference)]
