"""Reading: nothing is handed out before every file has the size and SHA-256 of the manifest."""

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
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

    def shape(self, group: str, name: str) -> tuple[int, ...]:
        """Return the whole shape of a tensor."""
        return tuple(self.records(group)[name].shape)

    def iterate(self, group: str) -> Iterator[tuple[str, np.ndarray]]:
        """Yield name and tensor one by one, so that one tensor at a time is in memory.

        Raises:
            CheckpointError: see `tensors`.
        """
        shapes = {name: record.shape for name, record in self.records(group).items()}
        return self.blocks(group, {n: tuple(slice(0, d) for d in s) for n, s in shapes.items()})

    def blocks(
        self, group: str, wanted: Mapping[str, tuple[slice, ...]]
    ) -> Iterator[tuple[str, np.ndarray]]:
        """Yield name and block of the tensors named in ``wanted``, one by one.

        Only files and rows that hold something of a block are read, so that a rank can take its
        part of what any other layout has written.

        Args:
            group: of the tensors.
            wanted: name -> slices with start and stop, one for each dimension.

        Raises:
            CheckpointError: see `tensors`.
        """
        handles: dict[str, Any] = {}

        def stored(file: str) -> Any:
            if file not in handles:
                handles[file] = safe_open(self.path / file, framework="numpy")
            return handles[file]

        records = self.records(group)
        try:
            for name, block in wanted.items():
                yield name, _assemble(name, records[name], block, stored)
        except (OSError, SafetensorError) as error:
            raise CheckpointError(f"{self.path}: changed while it was read: {error}") from error


def _assemble(
    name: str, record: TensorRecord, block: tuple[slice, ...], stored: Callable[[str], Any]
) -> np.ndarray:
    """Put a block of a tensor together from the pieces that overlap it."""
    shape = [part.stop - part.start for part in block]
    result = np.empty(shape, dtype=record.dtype)
    for piece in record.slices:
        if not shape:
            return stored(piece.file).get_tensor(name)
        low = [max(s, part.start) for s, part in zip(piece.start, block, strict=True)]
        high = [
            min(s + n, part.stop)
            for s, n, part in zip(piece.start, piece.shape, block, strict=True)
        ]
        if any(a >= b for a, b in zip(low, high, strict=True)):
            continue
        source = [slice(a - s, b - s) for a, b, s in zip(low, high, piece.start, strict=True)]
        target = [slice(a - p.start, b - p.start) for a, b, p in zip(low, high, block, strict=True)]
        result[tuple(target)] = stored(piece.file).get_slice(name)[tuple(source)]
    return result


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


def open_checkpoint(path: Path) -> Checkpoint:
    """Open a checkpoint whose files another process of the run has verified.

    Raises:
        CheckpointError: the folder cannot be seen from here, or its manifest is not good.
    """
    try:
        return Checkpoint(path=path, manifest=read_manifest(path))
    except CheckpointError as error:
        raise CheckpointError(
            f"{path}: rank 0 has found this checkpoint, this process cannot read it: {error}. All "
            "machines of a run need the same file system for output_dir and load_checkpoint"
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
