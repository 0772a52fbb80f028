"""From a path to the reader of what lies there."""

from collections.abc import Callable
from pathlib import Path

from mindmlm.checkpoint import find_in_folder
from mindmlm.checkpoint.manifest import MANIFEST_NAME
from mindmlm.checkpoint.naming import CHECKPOINT_FOLDER, LATEST_NAME, parse_step_name, step_folders
from mindmlm.conversion.folder_checksums import verify_checksums
from mindmlm.conversion.readers import huggingface_folder, mindspore_ckpt, own, tensorflow
from mindmlm.conversion.readers.huggingface_folder import INDEX_SUFFIX, WEIGHT_NAMES
from mindmlm.conversion.readers.safetensors_files import SafetensorsFile
from mindmlm.conversion.readers.torch_bin import TorchFile
from mindmlm.conversion.source import TensorSource
from mindmlm.errors import CheckpointError

_TORCH_SUFFIXES = (".bin", ".pt", ".pth")
_ZIP, _PICKLE = b"PK\x03\x04", b"\x80"


def _open_own(path: Path) -> TensorSource:
    return own.OwnCheckpoint(find_in_folder(path).checkpoint)


def _open_huggingface(path: Path) -> TensorSource:
    if path.is_dir():
        return huggingface_folder.HuggingFaceFolder(path)
    if path.name.endswith(INDEX_SUFFIX) or path.name in WEIGHT_NAMES:
        return huggingface_folder.HuggingFaceFolder(path.parent)
    return TorchFile(path) if path.suffix in _TORCH_SUFFIXES else SafetensorsFile(path)


def _open_tensorflow(path: Path) -> TensorSource:
    return tensorflow.TensorFlowCheckpoint(_tensorflow_prefix(path) if path.is_dir() else path)


def _open_mindspore(path: Path) -> TensorSource:
    if path.is_dir():
        verify_checksums(path)
        path = _only(path, "*.ckpt")
    return mindspore_ckpt.MindSporeFile(path)


def _open_pytorch(path: Path) -> TensorSource:
    return TorchFile(_only(path, "*.bin") if path.is_dir() else path)


OPENERS: dict[str, Callable[[Path], TensorSource]] = {
    own.FORMAT: _open_own,
    huggingface_folder.FORMAT: _open_huggingface,
    tensorflow.FORMAT: _open_tensorflow,
    mindspore_ckpt.FORMAT: _open_mindspore,
    "pytorch": _open_pytorch,
}


def open_source(path: Path, kind: str | None = None) -> TensorSource:
    """Open a checkpoint of any format.

    Args:
        path: a folder or a file, or the prefix of a TensorFlow checkpoint.
        kind: a key of `OPENERS`; None to recognise it.

    Raises:
        CheckpointError: nothing there, nothing that is known, or damaged.
    """
    return OPENERS[kind or recognise(path)](path)


def recognise(path: Path) -> str:
    """Return the format, a key of `OPENERS`, of what lies at ``path``.

    Raises:
        CheckpointError: nothing there, or nothing that is known.
    """
    if Path(f"{path}{tensorflow.INDEX_SUFFIX}").is_file():
        return tensorflow.FORMAT
    if path.is_dir():
        return _recognise_folder(path)
    if not path.is_file():
        raise CheckpointError(f"no checkpoint at {path}: there is no such file or folder")
    return _recognise_file(path)


def is_own(path: Path) -> bool:
    """Whether ``path`` is a folder of ours: of a step, of a run, or of its checkpoints."""
    if not path.is_dir():
        return False
    marks = (path / MANIFEST_NAME, path / CHECKPOINT_FOLDER / LATEST_NAME, path / LATEST_NAME)
    if any(mark.exists() for mark in marks) or parse_step_name(path.name) is not None:
        return True
    inner = path / CHECKPOINT_FOLDER
    return bool(step_folders(path)) or (inner.is_dir() and bool(step_folders(inner)))


def _recognise_folder(folder: Path) -> str:
    if is_own(folder):
        return own.FORMAT
    if any((folder / name).is_file() for name in WEIGHT_NAMES):
        return huggingface_folder.FORMAT
    if any(folder.glob("*" + tensorflow.INDEX_SUFFIX)):
        return tensorflow.FORMAT
    if any(folder.glob("*.ckpt")):
        return mindspore_ckpt.FORMAT
    raise CheckpointError(
        f"no checkpoint at {folder}: it holds neither {WEIGHT_NAMES[0]} nor {WEIGHT_NAMES[2]} "
        f"(Hugging Face), no *.index (TensorFlow), no *.ckpt (MindSpore), and no {MANIFEST_NAME} "
        f"or {CHECKPOINT_FOLDER} folder (a run of ours)"
    )


def _recognise_file(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(4)
    if path.name.endswith((INDEX_SUFFIX, ".safetensors")):
        return huggingface_folder.FORMAT
    if path.suffix == tensorflow.INDEX_SUFFIX:
        return tensorflow.FORMAT
    if path.suffix in _TORCH_SUFFIXES or start == _ZIP or start[:1] == _PICKLE:
        return "pytorch"
    if path.suffix == ".ckpt":
        return mindspore_ckpt.FORMAT
    raise CheckpointError(
        f"{path}: not recognised; known are .safetensors, .bin, .pt, .ckpt and .index files. If "
        f"it is one of them under another name, say which with --from: {', '.join(OPENERS)}"
    )


def _tensorflow_prefix(folder: Path) -> Path:
    return Path(str(_only(folder, "*" + tensorflow.INDEX_SUFFIX)))


def _only(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise CheckpointError(f"{folder}: name one file; there are {len(found)} {pattern}: {names}")
    return found[0]
