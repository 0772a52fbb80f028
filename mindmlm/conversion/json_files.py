"""Small JSON files of strangers, read with care."""

import json
from pathlib import Path
from typing import Any

from mindmlm.errors import CheckpointError

MAX_JSON_BYTES = 64 * 2**20


def read_json_object(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file of at most 64 MB.

    Raises:
        CheckpointError: missing, too large, not JSON, or no object.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_JSON_BYTES + 1)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror}") from None
    if len(data) > MAX_JSON_BYTES:
        raise CheckpointError(f"{path}: larger than 64 MB; this is not a description of a model")
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: not valid JSON: {error}") from None
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: expected a JSON object in braces")
    return content


def plain_file(folder: Path, name: object, named_by: Path) -> Path:
    """Return the file ``name`` of ``folder``; a name that leads out of it is refused.

    Raises:
        CheckpointError: not a plain file name, or no such file; ``named_by`` is blamed.
    """
    is_plain = isinstance(name, str) and not ({"/", "\\", "\0"} & set(name))
    if not isinstance(name, str) or not is_plain or name in ("", ".", ".."):
        raise CheckpointError(
            f"{named_by}: {name!r} is not the name of a file in this folder; nothing outside of "
            "it is read"
        )
    path = folder / name
    if not path.is_file():
        raise CheckpointError(f"{named_by}: names {name}, which is not in {folder}")
    return path
