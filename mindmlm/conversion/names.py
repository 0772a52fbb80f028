"""Names of models, such as ``bert_base_uncased``, and the folder they stand for."""

import os
import re
from pathlib import Path

from mindmlm.errors import CheckpointError

HOME_VARIABLE = "MINDMLM_HOME"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def models_folder() -> Path:
    """Return the folder of named models: ``$MINDMLM_HOME``, or ``~/.cache/mindmlm``."""
    return Path(os.environ.get(HOME_VARIABLE) or "~/.cache/mindmlm").expanduser()


def resolve_name(text: str) -> Path:
    """Return the path that ``text`` means: itself where it exists, else a named model's folder.

    Nothing is ever fetched.

    Raises:
        CheckpointError: neither is there; the message says where to put the files of a name.
    """
    path = Path(text).expanduser()
    if path.exists() or Path(f"{path}.index").is_file():
        return path
    if not _NAME.fullmatch(text):
        raise CheckpointError(f"no checkpoint at {text}: there is no such file or folder")
    named = models_folder() / text
    if named.is_dir():
        return named
    raise CheckpointError(
        f"no checkpoint at {text}: there is no such file or folder, and no model of that name in "
        f"{models_folder()}. Nothing is downloaded: put config.json, model.safetensors (or "
        f"pytorch_model.bin) and vocab.txt into {named}, or set {HOME_VARIABLE} to the folder that "
        "holds your models"
    )
