"""Atomic saving: a checkpoint exists completely or not at all, whatever instant the run dies."""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from mindmlm import __version__
from mindmlm.checkpoint.manifest import Manifest, TensorRecord, write_manifest
from mindmlm.checkpoint.naming import LATEST_NAME, TEMPORARY, marked, step_name
from mindmlm.checkpoint.retention import clean_leftovers, prune, set_aside
from mindmlm.checkpoint.shards import Shard
from mindmlm.errors import CheckpointError
from mindmlm.runtime.files import sync_directory, write_text_atomic

SINGLE_PROCESS_LAYOUT = {"data_parallel": 1, "model_parallel": 1, "pipeline_stage": 1}


def begin_checkpoint(root: Path, step: int) -> Path:
    """Make the temporary folder that the shards of ``step`` go to; one process calls it.

    What killed runs left half-written in ``root`` is taken away first.

    Raises:
        OSError: ``root`` cannot be made or written.
    """
    root.mkdir(parents=True, exist_ok=True)
    clean_leftovers(root)
    folder = marked(root / step_name(step), TEMPORARY)
    folder.mkdir()
    return folder


def commit_checkpoint(
    root: Path,
    step: int,
    shards: Iterable[Shard],
    *,
    state: dict[str, Any],
    config: dict[str, Any],
    layout: dict[str, int],
    keep_checkpoint_max: int,
) -> Path:
    """Turn the temporary folder of ``step`` into a checkpoint; one process calls it at the end.

    Order: manifest, rename, ``latest``, then the old ones are deleted. Whatever fails, the
    checkpoints that were there stay, and ``latest`` names a complete one.

    Raises:
        CheckpointError: the shards do not make up whole tensors.
        OSError: something cannot be written or renamed.
    """
    final = root / step_name(step)
    temporary = marked(final, TEMPORARY)
    write_manifest(temporary, _manifest(step, list(shards), state, config, layout))
    sync_directory(temporary)
    _publish(temporary, final)
    sync_directory(root)
    write_text_atomic(root / LATEST_NAME, final.name + "\n")
    prune(root, step, keep_checkpoint_max)
    return final


def _publish(temporary: Path, final: Path) -> None:
    replaced = set_aside(final) if final.exists() else None
    try:
        temporary.rename(final)
    except BaseException:
        if replaced is not None:
            # If even this fails, readers accept the folder under its other name.
            with suppress(OSError):
                replaced.rename(final)
        raise


def _manifest(
    step: int,
    shards: list[Shard],
    state: dict[str, Any],
    config: dict[str, Any],
    layout: dict[str, int],
) -> Manifest:
    tensors: dict[str, dict[str, TensorRecord]] = {}
    for shard in shards:
        group = tensors.setdefault(shard.group, {})
        for name, stored in shard.slices.items():
            new = TensorRecord(dtype=stored.dtype, shape=list(stored.shape), slices=[stored.slice])
            known = group.setdefault(name, new)
            if known is new:
                continue
            if (known.dtype, known.shape) != (new.dtype, new.shape):
                raise CheckpointError(
                    f"tensor {shard.group}/{name}: two ranks disagree on its type or shape"
                )
            known.slices.append(stored.slice)
    return Manifest(
        created_by=f"mindmlm {__version__}",
        step=step,
        layout=layout,
        files={shard.file: shard.record for shard in shards},
        tensors=tensors,
        state=state,
        config=config,
    )
