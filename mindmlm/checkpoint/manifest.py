"""The manifest of a checkpoint: what it holds, and the only thing a reader trusts.

``manifest.json`` lists every file with its size and SHA-256; ``manifest.sha256`` beside it holds
the manifest's own SHA-256 in the format of ``sha256sum``, so that no byte goes unchecked.
"""

import hashlib
import json
import math
import os
import stat
from pathlib import Path
from typing import Annotated, Any, NoReturn

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from mindmlm.errors import CheckpointError
from mindmlm.runtime.files import new_file

FORMAT_VERSION = 1
MANIFEST_NAME = "manifest.json"
DIGEST_NAME = "manifest.sha256"
MAX_MANIFEST_BYTES = 64 * 2**20
MAX_SLICES = 4096  # of one tensor: more ranks than any job here has

FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$")]
GroupName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Extent = Annotated[int, Field(ge=0, lt=2**48)]
# 2-d tensors are the rule; numpy itself stops at 32 dimensions.
Extents = Annotated[list[Extent], Field(max_length=32)]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class FileRecord(_Record):
    """Size in bytes and SHA-256 (64 hex digits) of one file."""

    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    size: Annotated[int, Field(ge=0, lt=2**63)]


class SliceRecord(_Record):
    """The block ``[start, start + shape)`` of a tensor and the file that holds it."""

    file: FileName
    start: Extents
    shape: Extents


class TensorRecord(_Record):
    """Type (numpy's name) and shape of a whole tensor, and the slices it is stored in."""

    dtype: str
    shape: Extents
    slices: Annotated[list[SliceRecord], Field(min_length=1, max_length=MAX_SLICES)]


class Manifest(_Record):
    """Contents of ``manifest.json``.

    ``tensors`` maps a group (``model``, ``optimizer``) to names to records. ``state`` is what a
    run needs besides tensors to go on, ``config`` the resolved configuration, ``layout`` the
    parallel layout that wrote the checkpoint.
    """

    format_version: int = FORMAT_VERSION
    created_by: str
    step: Annotated[int, Field(ge=0, lt=10**18)]
    layout: dict[str, int]
    files: dict[FileName, FileRecord]
    tensors: dict[GroupName, dict[str, TensorRecord]]
    state: dict[str, Any]
    config: dict[str, Any]


def check_manifest(manifest: Manifest) -> None:
    """Check that slices name listed files and cover each tensor exactly once.

    Raises:
        CheckpointError: they do not; the message names the tensor.
    """
    for group, tensors in manifest.tensors.items():
        for name, record in tensors.items():
            problem = _tensor_problem(record, manifest.files)
            if problem:
                raise CheckpointError(f"tensor {group}/{name} {problem}")


def _tensor_problem(record: TensorRecord, files: dict[str, FileRecord]) -> str | None:
    for piece in record.slices:
        if piece.file not in files:
            return f"is said to be in the file {piece.file!r}, which the manifest does not list"
        if not len(piece.start) == len(piece.shape) == len(record.shape):
            return "has a slice with another number of dimensions"
        ends = zip(piece.start, piece.shape, record.shape, strict=True)
        if any(start + length > limit for start, length, limit in ends):
            return "has a slice that reaches beyond its shape"
    if sum(math.prod(piece.shape) for piece in record.slices) != math.prod(record.shape):
        return "is not covered exactly by its slices: elements are missing or stored twice"
    if _overlapping(record.slices):
        return "has slices that overlap"
    return None


def _overlapping(slices: list[SliceRecord]) -> bool:
    starts = np.array([piece.start for piece in slices], dtype=np.int64)
    ends = starts + np.array([piece.shape for piece in slices], dtype=np.int64)
    for index in range(len(slices) - 1):
        after = slice(index + 1, None)
        common = (starts[index] < ends[after]) & (starts[after] < ends[index])
        if bool(common.all(axis=1).any()):
            return True
    return False


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write ``manifest.json`` and ``manifest.sha256`` into ``folder``, both synchronised.

    Raises:
        CheckpointError: the manifest contradicts itself or is larger than `MAX_MANIFEST_BYTES`.
        TypeError, ValueError: state or config hold something that JSON has no form for.
        OSError: a file cannot be written.
    """
    check_manifest(manifest)
    text = json.dumps(manifest.model_dump(), indent=1, allow_nan=False, ensure_ascii=False)
    data = (text + "\n").encode("utf-8")
    if len(data) > MAX_MANIFEST_BYTES:
        raise CheckpointError(f"the manifest would take {len(data)} bytes; 64 MB is the limit")
    with new_file(folder / MANIFEST_NAME) as file:
        file.write(data)
    with new_file(folder / DIGEST_NAME) as file:
        file.write(_digest_line(data))


def _digest_line(data: bytes) -> bytes:
    return f"{hashlib.sha256(data).hexdigest()}  {MANIFEST_NAME}\n".encode("ascii")


def read_manifest(folder: Path) -> Manifest:
    """Read and check the manifest of ``folder``; the files it lists are not looked at.

    Raises:
        CheckpointError: missing, damaged, not of this format, or contradicting itself.
    """
    data = read_small_file(folder / MANIFEST_NAME, MAX_MANIFEST_BYTES)
    if read_small_file(folder / DIGEST_NAME, 1024) != _digest_line(data):
        raise CheckpointError(f"{MANIFEST_NAME} does not have the SHA-256 that {DIGEST_NAME} names")
    content = _parse_json(data)
    version = content.get("format_version") if isinstance(content, dict) else None
    if version != FORMAT_VERSION:
        raise CheckpointError(
            f"{MANIFEST_NAME} has format_version {version!r}; this mindmlm reads {FORMAT_VERSION}"
        )
    try:
        manifest = Manifest.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise CheckpointError(f"{MANIFEST_NAME}: {where}: {first['msg']}") from None
    check_manifest(manifest)
    return manifest


def open_regular(path: Path) -> int:
    """Open a file for reading and return its descriptor; links and devices are refused.

    Raises:
        CheckpointError: missing, a link, not a regular file, or not readable.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        raise CheckpointError(f"{path.name} is missing") from None
    except OSError as error:
        reason = "is a symbolic link" if path.is_symlink() else f"cannot be opened: {error}"
        raise CheckpointError(f"{path.name} {reason}") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise CheckpointError(f"{path.name} is not a regular file")
    return descriptor


def read_small_file(path: Path, limit: int) -> bytes:
    """Return the bytes of a file of at most ``limit`` bytes.

    Raises:
        CheckpointError: see `open_regular`, or the file is larger.
    """
    with os.fdopen(open_regular(path), "rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise CheckpointError(f"{path.name} is larger than {limit} bytes")
    return data


def _parse_json(data: bytes) -> Any:
    def refuse_constant(name: str) -> NoReturn:
        raise ValueError(f"the constant {name} is not allowed")

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        content = dict(pairs)
        if len(content) != len(pairs):
            raise ValueError("a key stands twice in one object")
        return content

    try:
        return json.loads(data, parse_constant=refuse_constant, object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{MANIFEST_NAME} is not valid JSON: {error}") from None
