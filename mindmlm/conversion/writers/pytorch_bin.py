"""`pytorch_model.bin`, written by PyTorch itself, where it is installed."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from mindmlm.checkpoint.shards import little_endian_bytes
from mindmlm.conversion.converted_model import Exported
from mindmlm.conversion.source import MappedFile, TensorInfo, decode
from mindmlm.errors import CheckpointError
from mindmlm.runtime.files import new_file


def write_pytorch(path: Path, tensors: Exported) -> None:
    """Write a state dict to the new file ``path`` and synchronise it.

    `torch.save` wants all tensors at once. They are staged in a file beside ``path`` first and
    mapped from there, so that memory holds one at a time.

    Raises:
        CheckpointError: PyTorch is not installed.
        OSError: a file cannot be written.
    """
    try:
        import torch
    except ImportError:
        raise CheckpointError(
            "--to pytorch needs PyTorch: pip install torch; --to huggingface does not, and writes "
            "safetensors, which every version of transformers since 4.30 reads"
        ) from None
    with _staged(path.with_name(path.name + ".stage"), tensors) as arrays:
        with warnings.catch_warnings():
            # The pages are read-only, and nobody writes to them.
            warnings.simplefilter("ignore", UserWarning)
            state = {name: torch.from_numpy(array) for name, array in arrays.items()}
        with new_file(path) as file:
            torch.save(state, file)


@contextmanager
def _staged(stage: Path, tensors: Exported) -> Iterator[dict[str, np.ndarray]]:
    """Give the tensors as views of a file that is gone at the end, and so is never synchronised."""
    stage.unlink(missing_ok=True)
    places: dict[str, tuple[int, int]] = {}
    try:
        with stage.open("xb") as file:
            for name, array in tensors.items():
                places[name] = (file.tell(), file.write(little_endian_bytes(array)))
        mapped = MappedFile(stage)
        yield {
            name: decode(mapped.bytes_at(*place, name), TensorInfo(spec.dtype, spec.shape))
            for (name, spec), place in zip(tensors.specs.items(), places.values(), strict=True)
        }
    finally:
        stage.unlink(missing_ok=True)
