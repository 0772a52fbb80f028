"""What a checkpoint of another library holds."""

import hashlib
import math
from pathlib import Path
from typing import Any

from mindmlm.checkpoint.shards import little_endian_bytes
from mindmlm.conversion.architectures import architecture_of
from mindmlm.conversion.converted_model import count_not_finite
from mindmlm.conversion.folder_checksums import CHECKSUM_NAME
from mindmlm.conversion.model_config import find_config
from mindmlm.conversion.origin import open_origin
from mindmlm.conversion.source import item_size

_CHECKED_BY = {
    "tensorflow": "yes, every tensor has its CRC-32C",
    "pytorch": "yes, where the file carries a CRC-32 (the zip form)",
    "mindspore": "yes, where the file carries a CRC-32",
}


def describe_foreign(path: Path) -> dict[str, Any]:
    """Return what lies at ``path``, in JSON's types; every tensor is read once.

    Raises:
        CheckpointError: missing, unknown or damaged.
    """
    origin = open_origin(path)
    source, settings = origin.source, origin.settings
    tensors: list[dict[str, Any]] = []
    for name, info in source.tensors.items():
        array = source.read(name)
        tensors.append(
            {
                "group": "model",
                "name": name,
                "dtype": info.dtype,
                "shape": list(info.shape),
                "sha256": hashlib.sha256(little_endian_bytes(array)).hexdigest(),
                "not_finite": count_not_finite(array) if array.dtype.kind == "f" else 0,
            }
        )
    folder = path if path.is_dir() else path.parent
    listed = (folder / CHECKSUM_NAME).is_file()
    return {
        "path": str(path),
        "format": source.format,
        "verified": True,
        "verified_by": f"yes, every file has its SHA-256 ({CHECKSUM_NAME})"
        if listed
        else _CHECKED_BY.get(source.format, "the header only; this format has no checksums"),
        "model": architecture_of(settings).name if settings else None,
        "model_config": settings.model_dump() if settings else None,
        "described_by": str(find_config(folder) or ""),
        "number_of_parameters": sum(math.prod(tensor["shape"]) for tensor in tensors),
        "total_bytes": sum(_size(tensor["dtype"], tensor["shape"]) for tensor in tensors),
        "vocabulary": len(origin.tokenizer.tokens) if origin.tokenizer else None,
        "tensors": tensors,
    }


def _size(dtype: str, shape: list[int]) -> int:
    return math.prod(shape) * item_size(dtype)
