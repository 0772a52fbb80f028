"""A source of tensors that is not a file."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mindmlm.conversion.source import TensorInfo


class MemorySource:
    """Arrays under the names of a library, read as a checkpoint is.

    Args:
        arrays: name -> values.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        self.path, self.format, self.arrays = Path("memory"), "memory", arrays
        self.tensors = {n: TensorInfo(a.dtype.name, a.shape) for n, a in arrays.items()}

    def read(self, name: str) -> np.ndarray:
        """Return an array."""
        return self.arrays[name]
