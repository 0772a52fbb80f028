"""Finished shards: written aside, checksummed, and given their names last of all."""

import fcntl
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from mindmlm.data.records.manifest import Manifest, describe_file, manifest_path, read_manifest
from mindmlm.data.records.mindrecord import index_of, write_mindrecord
from mindmlm.data.records.rows import Columns
from mindmlm.data.records.tfrecord import write_tfrecord
from mindmlm.errors import DataError
from mindmlm.runtime.files import new_file, sync_directory, write_text_atomic

MINDRECORD, TFRECORD = "mindrecord", "tfrecord"
_PARTIAL = ".partial"


def publish_records(
    path: Path, record_format: str, batches: Iterable[Columns], manifest: Manifest
) -> Manifest:
    """Write a record file with its manifest, so that it appears whole or not at all.

    Everything is written into a folder beside it and synchronised; then the manifest, a
    MindRecord's index and at last the file get their names. A file without a manifest, or a
    manifest without its files, is what a crash leaves: it counts as not there.

    Args:
        path: the file to make.
        record_format: "tfrecord" or "mindrecord".
        batches: the rows.
        manifest: all about it but ``files`` and ``rows``.

    Raises:
        DataError: it cannot be written.
    """
    partial = path.with_name(f".{path.name}{_PARTIAL}")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        file = partial / path.name
        if record_format == MINDRECORD:
            rows = write_mindrecord(file, batches, manifest.form)
            files = [index_of(file), file]
            for written in files:
                _open_to_readers(written)
                _sync_file(written)
        else:
            with new_file(file) as stream:
                rows = write_tfrecord(stream, batches)
            files = [file]
        described = {written.name: describe_file(written) for written in files}
        manifest = replace(manifest, files=described, rows=rows)
        write_text_atomic(manifest_path(path), manifest.text())
        for written in files:
            written.replace(path.with_name(written.name))
        sync_directory(path.parent)
        shutil.rmtree(partial)
    except OSError as error:
        raise DataError(f"{path}: cannot write the records: {error}") from None
    return manifest


def finished_manifest(path: Path) -> Manifest | None:
    """Return the manifest of ``path`` if the file is whole (by its size), else None."""
    try:
        manifest = read_manifest(path)
    except DataError:
        return None
    return manifest if manifest and manifest.sizes_agree(path.parent) else None


@dataclass(frozen=True)
class ShardFolder:
    """The folder that shards are written to.

    Attributes:
        path: made when missing.
        record_format: of the shards.
    """

    path: Path
    record_format: str

    def shard(self, number: int) -> Path:
        """Return the file of shard ``number``."""
        return self.path / f"part-{number:05d}.{self.record_format}"

    def finished(self) -> list[Manifest]:
        """Return the manifests of the finished shards, from the first one without a gap."""
        manifests: list[Manifest] = []
        while (manifest := finished_manifest(self.shard(len(manifests)))) is not None:
            manifests.append(manifest)
        return manifests

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other builds out; what a crashed one left half written is removed.

        Raises:
            DataError: another process builds here, or the folder cannot be made.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise DataError(f"{self.path}: cannot be written: {error.strerror}") from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise DataError(f"{self.path}: another process is building there") from None
        try:
            for abandoned in self.path.glob(f".part-*{_PARTIAL}"):
                shutil.rmtree(abandoned)
            yield
        finally:
            os.close(descriptor)


def check_same_build(manifests: Iterable[Manifest], build: str, place: Path) -> None:
    """Refuse shards of another input or other settings.

    Raises:
        DataError: some manifest has another ``build``.
    """
    if any(manifest.build != build for manifest in manifests):
        raise DataError(
            f"{place}: holds shards made from another input, vocabulary or other settings; "
            "give --resume the same ones, or choose another --output_file"
        )


def _open_to_readers(path: Path) -> None:
    """Give a file the mode of any new file; MindSpore lets its owner alone read it."""
    mask = os.umask(0)
    os.umask(mask)
    path.chmod(0o666 & ~mask)


def _sync_file(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
