"""Reading: nothing is handed out before every file has the size and SHA-256 of the manifest."""

import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from mindmlm.checkpoint.manifest import (
    FileRecord,
    Manifest,
    SliceRecord,
    TensorRecord,
    open_regular,
    read_manifest,
)
from mindmlm.checkpoint.naming import SET_ASIDE, parse_step_name
from mindmlm.checkpoint.shards import CHUNK_BYTES, SAFETENSORS_DTYPES
from mindmlm.errors import CheckpointError

HASH_THREADS = 4


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint whose files were verified; tensors are read when asked for."""

    path: Path
    manifest: Manifest

    @property
    def step(self) -> int:
        """Number of optimizer steps done."""
        return self.manifest.step

    @property
    def state(self) -> dict[str, Any]:
        """What the run needs besides tensors to go on."""
        return self.manifest.state

    @property
    def config(self) -> dict[str, Any]:
        """The resolved configuration of the run that wrote it."""
        return self.manifest.config

    @property
    def layout(self) -> dict[str, int]:
        """The parallel layout that wrote it, by axis."""
        return self.manifest.layout

    def records(self, group: str) -> dict[str, TensorRecord]:
        """Return type, shape and slices of the tensors of ``group`` by name.

        Raises:
            CheckpointError: there is no such group.
        """
        if group not in self.manifest.tensors:
            known = ", ".join(self.manifest.tensors) or "none"
            raise CheckpointError(f"{self.path}: no group {group!r} of tensors; it has: {known}")
        return self.manifest.tensors[group]

    def tensors(self, group: str) -> dict[str, np.ndarray]:
        """Return the whole tensors of ``group`` by name, put together from their slices.

        Raises:
            CheckpointError: there is no such group, or a file changed since it was verified.
        """
        return dict(self.iterate(group))

    def iterate(self, group: str) -> Iterator[tuple[str, np.ndarray]]:
        """Yield name and tensor one by one, so that one tensor at a time is in memory.

        Raises:
            CheckpointError: see `tensors`.
        """
        handles: dict[str, Any] = {}
        try:
            for name, record in self.records(group).items():
                for piece in record.slices:
                    if piece.file not in handles:
                        handles[piece.file] = safe_open(self.path / piece.file, framework="numpy")
                yield name, _assemble(name, record, handles)
        except (OSError, SafetensorError) as error:
            raise CheckpointError(f"{self.path}: changed while it was read: {error}") from error


def _assemble(name: str, record: TensorRecord, handles: dict[str, Any]) -> np.ndarray:
    if len(record.slices) == 1:
        return handles[record.slices[0].file].get_tensor(name)
    whole = np.empty(record.shape, dtype=record.dtype)
    for piece in record.slices:
        ends = [start + length for start, length in zip(piece.start, piece.shape, strict=True)]
        block = tuple(slice(*bounds) for bounds in zip(piece.start, ends, strict=True))
        whole[block] = handles[piece.file].get_tensor(name)
    return whole


def read_checkpoint(path: Path) -> Checkpoint:
    """Verify the checkpoint in folder ``path``: every file, hashed once, in chunks.

    Raises:
        CheckpointError: missing, unfinished or damaged; the message says what is wrong.
    """
    try:
        return verify_checkpoint(path)
    except CheckpointError as error:
        raise CheckpointError(
            f"{path}: not a usable checkpoint: {error}. Choose another step, or 'latest' for the "
            "newest good one"
        ) from None


def verify_checkpoint(path: Path) -> Checkpoint:
    """Do the work of `read_checkpoint`; its errors hold the reason alone, without the path."""
    if not path.is_dir():
        raise CheckpointError("there is no such folder")
    name = parse_step_name(path.name)
    if name is not None and name.mark not in ("", SET_ASIDE):
        raise CheckpointError(f"it was never finished ({name.mark} marks a folder being worked on)")
    manifest = read_manifest(path)
    if name is not None and name.step != manifest.step:
        raise CheckpointError(f"the folder is named after another step than {manifest.step}")
    _verify_files(path, manifest.files)
    for file in manifest.files:
        _verify_header(path / file, _stored_tensors(manifest, file))
    return Checkpoint(path=path, manifest=manifest)


def _verify_files(folder: Path, files: dict[str, FileRecord]) -> None:
    with ThreadPoolExecutor(max_workers=min(HASH_THREADS, os.cpu_count() or 1)) as pool:
        found = pool.map(lambda name: _file_problem(folder / name, files[name]), files)
        problems = [problem for problem in found if problem]
    if problems:
        raise CheckpointError("; ".join(problems))


def _file_problem(path: Path, record: FileRecord) -> str | None:
    try:
        with os.fdopen(open_regular(path), "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size != record.size:
                return f"{path.name} has {size} bytes, not {record.size}"
            digest = hashlib.sha256()
            while chunk := file.read(CHUNK_BYTES):
                digest.update(chunk)
    except CheckpointError as error:
        return str(error)
    except OSError as error:
        return f"{path.name} cannot be read: {error}"
    if digest.hexdigest() != record.sha256:
        return f"{path.name} is damaged: its SHA-256 is not the manifest's"
    return None


def _stored_tensors(
    manifest: Manifest, file: str
) -> dict[str, list[tuple[TensorRecord, SliceRecord]]]:
    """Return what ``file`` must hold: for each name the tensor it belongs to and the block."""
    stored: dict[str, list[tuple[TensorRecord, SliceRecord]]] = {}
    for tensors in manifest.tensors.values():
        for name, record in tensors.items():
            for piece in record.slices:
                if piece.file == file:
                    stored.setdefault(name, []).append((record, piece))
    return stored


def _verify_header(path: Path, expected: dict[str, list[tuple[TensorRecord, SliceRecord]]]) -> None:
    try:
        with safe_open(path, framework="numpy") as file:
            if set(file.keys()) != set(expected):
                raise CheckpointError(f"{path.name} holds other tensors than the manifest says")
            for name, claims in expected.items():
                header = file.get_slice(name)
                found = (header.get_dtype(), list(header.get_shape()))
                for record, piece in claims:
                    if found != (SAFETENSORS_DTYPES.get(record.dtype), piece.shape):
                        raise CheckpointError(
                            f"{path.name}: tensor {name} is {found[0]} {found[1]}, the manifest "
                            f"says {record.dtype} {piece.shape}"
                        )
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path.name} is not a safetensors file: {error}") from None
