"""Saving a checkpoint with several processes: each writes its part, one completes it."""

import json
import math
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from mindmlm.checkpoint.manifest import FileRecord, SliceRecord
from mindmlm.checkpoint.naming import TEMPORARY, marked, step_name
from mindmlm.checkpoint.shards import Placement, Shard, StoredSlice, write_shard
from mindmlm.checkpoint.writer import SINGLE_PROCESS_LAYOUT, begin_checkpoint, commit_checkpoint
from mindmlm.errors import CheckpointError

# Every process gives a text and gets those of all, in order of their ranks.
Meet = Callable[[str], list[str]]


def alone(text: str) -> list[str]:
    """Meeting of one process."""
    return [text]


class SharedSave:
    """How the processes of a run save together.

    Args:
        root: folder of the checkpoints, ``output_dir/checkpoint``; one folder for all processes.
        layout: parallel layout by axis.
        keep_checkpoint_max: number of checkpoints to keep.
        rank: of this process; rank 0 completes.
        meet: exchanges texts between all processes.

    Raises:
        ValueError: ``keep_checkpoint_max`` is below 1.
    """

    def __init__(
        self,
        root: Path,
        layout: dict[str, int],
        keep_checkpoint_max: int,
        rank: int = 0,
        meet: Meet = alone,
    ) -> None:
        if keep_checkpoint_max < 1:
            raise ValueError(f"keep_checkpoint_max is {keep_checkpoint_max}; it must be 1 or more")
        self._root = root
        self._layout = layout
        self._keep = keep_checkpoint_max
        self._rank = rank
        self._meet = meet

    def save(
        self,
        step: int,
        tensors: Mapping[str, Mapping[str, np.ndarray]],
        placements: Mapping[str, Placement],
        state: dict[str, Any],
        config: dict[str, Any],
    ) -> Path:
        """Save this process's part of a checkpoint and see it completed; all processes call it.

        Args:
            step: number of optimizer steps done.
            tensors: group (``model``, ``optimizer``) -> name -> array, those that this process
                answers for.
            placements: where the arrays lie in their tensors; an array not named is whole.
            state: what else the run needs to go on, the same on all processes.
            config: the resolved configuration.

        Returns:
            The folder of the checkpoint.

        Raises:
            CheckpointError: a process could not write (a full disk, say) or has failed otherwise;
                checkpoints that were there are untouched.
            Exception: what failed here, if it is no matter of the disk.
        """
        folder = marked(self._root / step_name(step), TEMPORARY)
        try:
            self._on_main(lambda: begin_checkpoint(self._root, step))
            shards = self._all_shards(
                lambda: [
                    write_shard(folder, group, arrays, self._rank, placements)
                    for group, arrays in tensors.items()
                    if arrays or self._rank == 0
                ]
            )
            self._on_main(
                lambda: commit_checkpoint(
                    self._root,
                    step,
                    shards,
                    state=state,
                    config=config,
                    layout=self._layout,
                    keep_checkpoint_max=self._keep,
                )
            )
        except BaseException as error:
            if self._rank == 0:
                shutil.rmtree(folder, ignore_errors=True)
            if isinstance(error, _SaveError):
                raise CheckpointError(
                    f"the checkpoint of step {step} could not be saved in {self._root}: {error}. "
                    "Checkpoints saved before are untouched; make room or choose another "
                    "output_dir, then resume"
                ) from error
            raise
        return self._root / step_name(step)

    def _on_main(self, action: Callable[[], Path]) -> None:
        """Let rank 0 act while the others wait for it."""
        problem, cause = "", None
        if self._rank == 0:
            try:
                action()
            except Exception as error:
                # Whatever it is, the others must not wait for ever.
                problem, cause = self._told(error), error
        if texts := [text for text in self._meet(problem) if text]:
            _fail(texts, cause)

    def _all_shards(self, write: Callable[[], list[Shard]]) -> list[Shard]:
        """Write this process's shards, and return those of all."""
        note: dict[str, Any] = {}
        cause = None
        try:
            note["shards"] = [_entry(shard) for shard in write()]
        except Exception as error:
            note["problem"], cause = self._told(error), error
        notes = [json.loads(text) for text in self._meet(json.dumps(note))]
        if problems := [note["problem"] for note in notes if "problem" in note]:
            _fail(problems, cause)
        return [_shard(entry) for note in notes for entry in note["shards"]]

    def _told(self, error: Exception) -> str:
        """The text for the other processes; one process has nobody to name itself to."""
        alone = math.prod(self._layout.values()) == 1
        return f"{error}" if alone else f"rank {self._rank}: {error}"


def save_checkpoint(
    root: Path,
    step: int,
    tensors: Mapping[str, Mapping[str, np.ndarray]],
    state: dict[str, Any],
    config: dict[str, Any],
    keep_checkpoint_max: int,
) -> Path:
    """Save a checkpoint of one process and delete the oldest ones.

    A checkpoint of the same step is replaced, without an instant at which neither is there.

    Args:
        root, keep_checkpoint_max: see `SharedSave`.
        step, tensors, state, config: see `SharedSave.save`; every tensor is whole.

    Returns:
        The folder of the checkpoint.

    Raises:
        ValueError: ``keep_checkpoint_max`` is below 1.
        CheckpointError: it could not be written (a full disk, say); what was there is untouched.
    """
    saving = SharedSave(root, SINGLE_PROCESS_LAYOUT, keep_checkpoint_max)
    return saving.save(step, tensors, {}, state, config)


class _SaveError(Exception):
    """Some process could not write."""


def _fail(problems: list[str], cause: Exception | None) -> NoReturn:
    """Raise what failed here, or that a file could not be written here or elsewhere."""
    if cause is not None and not isinstance(cause, OSError):
        raise cause
    raise _SaveError("; ".join(problems)) from cause


def _entry(shard: Shard) -> dict[str, Any]:
    return {
        "group": shard.group,
        "file": shard.file,
        "record": shard.record.model_dump(),
        "slices": {
            name: {
                "dtype": stored.dtype,
                "shape": stored.shape,
                "slice": stored.slice.model_dump(),
            }
            for name, stored in shard.slices.items()
        },
    }


def _shard(entry: dict[str, Any]) -> Shard:
    slices = {
        name: StoredSlice(
            stored["dtype"], tuple(stored["shape"]), SliceRecord.model_validate(stored["slice"])
        )
        for name, stored in entry["slices"].items()
    }
    return Shard(entry["group"], entry["file"], FileRecord.model_validate(entry["record"]), slices)
