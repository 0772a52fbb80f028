"""Files in the safetensors format (https://huggingface.co/docs/safetensors)."""

import json
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from mindmlm.checkpoint.shards import SAFETENSORS_DTYPES
from mindmlm.conversion.source import BFLOAT16, MappedFile, TensorInfo, decode
from mindmlm.errors import CheckpointError

FORMAT = "safetensors"
_DTYPES = {code: name for name, code in SAFETENSORS_DTYPES.items()} | {"BF16": BFLOAT16}


class SafetensorsFile:
    """One file. The library checks the header; the tensors are views of the mapped file.

    The library itself would copy every tensor, and has no bfloat16 for numpy.

    Raises:
        CheckpointError: not a whole file of this format, or a type without a place in numpy.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.format = FORMAT
        try:
            # Length of the header, its JSON, and that the tensors cover the file exactly once.
            with safe_open(path, framework="numpy"):
                pass
        except (OSError, SafetensorError) as error:
            raise CheckpointError(f"{path}: not a whole safetensors file: {error}") from None
        self._file = MappedFile(path)
        length = int.from_bytes(self._file.bytes_at(0, 8, "the header"), "little")
        header = json.loads(bytes(self._file.bytes_at(8, length, "the header")))
        header.pop("__metadata__", None)
        self._offsets = {
            name: (8 + length + entry["data_offsets"][0], 8 + length + entry["data_offsets"][1])
            for name, entry in header.items()
        }
        self.tensors = {name: self._info(name, entry) for name, entry in header.items()}

    def _info(self, name: str, entry: dict) -> TensorInfo:
        if entry["dtype"] not in _DTYPES:
            raise CheckpointError(
                f"{self.path}: tensor {name} has the type {entry['dtype']}, which cannot be "
                f"converted; known are {', '.join(_DTYPES)}"
            )
        return TensorInfo(_DTYPES[entry["dtype"]], tuple(entry["shape"]))

    def read(self, name: str) -> np.ndarray:
        """Return a tensor; see `TensorSource`."""
        start, end = self._offsets[name]
        return decode(self._file.bytes_at(start, end - start, name), self.tensors[name])
