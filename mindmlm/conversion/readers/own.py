"""Our own checkpoints, and the groups of tensors in them, as a source."""

from pathlib import Path

import numpy as np

from mindmlm.checkpoint import Checkpoint
from mindmlm.checkpoint.manifest import TensorRecord
from mindmlm.conversion.readers.safetensors_files import SafetensorsFile
from mindmlm.conversion.source import TensorInfo

FORMAT = "mindmlm"


class OwnCheckpoint:
    """One group of a verified checkpoint, put together from the slices of any layout."""

    def __init__(self, checkpoint: Checkpoint, group: str = "model") -> None:
        self.path: Path = checkpoint.path
        self.format = FORMAT
        self.checkpoint = checkpoint
        self._records = checkpoint.records(group)
        self._files: dict[str, SafetensorsFile] = {}
        self.tensors = {
            name: TensorInfo(record.dtype, tuple(record.shape))
            for name, record in self._records.items()
        }

    def read(self, name: str) -> np.ndarray:
        """Return a tensor; see `TensorSource`."""
        record = self._records[name]
        if len(record.slices) == 1:
            return self._file(record.slices[0].file).read(name)
        return self._assembled(name, record)

    def _assembled(self, name: str, record: TensorRecord) -> np.ndarray:
        whole = np.empty(record.shape, dtype=record.dtype)
        for piece in record.slices:
            bounds = zip(piece.start, piece.shape, strict=True)
            block = tuple(slice(start, start + length) for start, length in bounds)
            whole[block] = self._file(piece.file).read(name)
        return whole

    def _file(self, name: str) -> SafetensorsFile:
        if name not in self._files:
            self._files[name] = SafetensorsFile(self.path / name)
        return self._files[name]
