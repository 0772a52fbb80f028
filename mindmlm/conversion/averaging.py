"""The mean of the weights of several checkpoints (Izmailov et al., 2018; Vaswani et al., 2017)."""

from pathlib import Path

import numpy as np

from mindmlm.checkpoint import Checkpoint, read_checkpoint
from mindmlm.checkpoint.naming import CHECKPOINT_FOLDER, by_recency
from mindmlm.conversion.readers.own import OwnCheckpoint
from mindmlm.errors import CheckpointError

_CHUNK_VALUES = 2**20


class AveragedCheckpoints:
    """The weights of the newest checkpoints of a run, averaged in float64.

    Args:
        folder: a run's output folder or its folder of checkpoints.
        count: how many, at least 2.

    Raises:
        CheckpointError: there are fewer, or one is damaged, or they hold different models.
    """

    def __init__(self, folder: Path, count: int) -> None:
        root = folder / CHECKPOINT_FOLDER if (folder / CHECKPOINT_FOLDER).is_dir() else folder
        paths = by_recency(root, current=None) if root.is_dir() else []
        if count < 2 or len(paths) < count:
            raise CheckpointError(
                f"--average {count}: {folder} holds {len(paths)} checkpoints; name the output "
                "folder of a run that keeps as many (callbacks.CheckpointMonitor."
                "keep_checkpoint_max), and at least 2"
            )
        self._parts = [OwnCheckpoint(read_checkpoint(path)) for path in paths[:count]]
        self.checkpoint: Checkpoint = self._parts[0].checkpoint
        self.path = folder
        self.tensors = self._parts[0].tensors
        steps = ", ".join(str(part.checkpoint.step) for part in self._parts[::-1])
        self.format = f"mean of steps {steps}"
        for part in self._parts[1:]:
            if part.tensors != self.tensors:
                raise CheckpointError(
                    f"--average: {part.path} holds another model than {self._parts[0].path}"
                )

    def read(self, name: str) -> np.ndarray:
        """Return the mean of a tensor; see `TensorSource`."""
        arrays = [part.read(name).reshape(-1) for part in self._parts]
        mean = np.empty_like(arrays[0])
        for start in range(0, mean.size, _CHUNK_VALUES):
            chunk = slice(start, start + _CHUNK_VALUES)
            total = sum(array[chunk].astype(np.float64) for array in arrays)
            mean[chunk] = total / len(arrays)
        return mean.reshape(self.tensors[name].shape)
