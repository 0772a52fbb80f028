"""Checkpoints: written atomically, verified before use, independent of the training framework."""

from mindmlm.checkpoint.locate import (
    Resolved,
    find_in_folder,
    recorded_config,
    resolve_checkpoint,
)
from mindmlm.checkpoint.reader import Checkpoint, open_checkpoint, read_checkpoint
from mindmlm.checkpoint.shards import Placement, Shard, write_shard
from mindmlm.checkpoint.together import SharedSave, save_checkpoint
from mindmlm.checkpoint.writer import begin_checkpoint, commit_checkpoint

__all__ = [
    "Checkpoint",
    "Placement",
    "Resolved",
    "Shard",
    "SharedSave",
    "begin_checkpoint",
    "commit_checkpoint",
    "find_in_folder",
    "open_checkpoint",
    "read_checkpoint",
    "recorded_config",
    "resolve_checkpoint",
    "save_checkpoint",
    "write_shard",
]
