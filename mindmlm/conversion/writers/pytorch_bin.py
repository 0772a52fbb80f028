"""`pytorch_model.bin`, written by PyTorch itself, where it is installed."""

import warnings
from pathlib import Path
from typing import Any

from mindmlm.checkpoint.shards import stream_safetensors
from mindmlm.conversion.converted_model import Exported
from mindmlm.conversion.readers.safetensors_files import SafetensorsFile
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
    stage = path.with_name(path.name + ".stage")
    stage.unlink(missing_ok=True)
    try:
        stream_safetensors(stage, tensors.specs, tensors.read)
        staged = SafetensorsFile(stage)
        state = {name: _mapped(torch, staged, name) for name in tensors.specs}
        with new_file(path) as file:
            torch.save(state, file)
    finally:
        stage.unlink(missing_ok=True)


def _mapped(torch: Any, staged: SafetensorsFile, name: str) -> Any:
    with warnings.catch_warnings():
        # The pages are read-only, and nobody writes to them.
        warnings.simplefilter("ignore", UserWarning)
        return torch.from_numpy(staged.read(name))
