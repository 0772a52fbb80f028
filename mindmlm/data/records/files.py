"""Which files are records, and the rows in them, checked."""

import glob
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mindmlm.data.records.manifest import MANIFEST_SUFFIX, Manifest, verified_manifest
from mindmlm.data.records.mindrecord import INDEX_SUFFIX, index_of, read_mindrecord
from mindmlm.data.records.rows import DYNAMIC, Columns, count_rows
from mindmlm.data.records.tfrecord import read_tfrecord
from mindmlm.errors import DataError
from mindmlm.tokenizers.base import Tokenizer

logger = logging.getLogger(__name__)

READERS: dict[str, Callable[[Path], Iterator[tuple[str, Columns]]]] = {
    "TFRecordDataset": read_tfrecord,
    "MindDataset": read_mindrecord,
}
_TFRECORD_MARKS = ("tfrecord", "tf_record", "tf-record")
_NOT_RECORDS = (MANIFEST_SUFFIX, INDEX_SUFFIX, ".tmp")
_DATASET_FILE = "dataset.json"


def record_files(place: str, loader: str) -> list[Path]:
    """Return the record files of a file, folder or pattern, sorted by name; none = empty.

    TFRecord files have "tfrecord" or "tf_record" in their names; beside every MindRecord file
    lies its index, NAME.db.

    Args:
        place: what the user wrote.
        loader: "TFRecordDataset" or "MindDataset".
    """
    path = Path(place)
    if path.is_file():
        return [path] if _is_record(path, loader) else []
    if path.is_dir():
        candidates = sorted(path.iterdir())
        _warn_of_unfinished(path, candidates)
    else:
        matches = glob.glob(place, recursive=True)  # noqa: PTH207 (the pattern may be absolute)
        candidates = sorted(map(Path, matches))
    return [
        file
        for file in candidates
        if file.is_file()
        and not file.name.startswith(".")
        and not file.name.endswith(_NOT_RECORDS)
        and _is_record(file, loader)
    ]


def _is_record(path: Path, loader: str) -> bool:
    if loader == "MindDataset":
        return index_of(path).is_file()
    return any(mark in path.name.lower() for mark in _TFRECORD_MARKS)


def _warn_of_unfinished(folder: Path, entries: list[Path]) -> None:
    names = {entry.name for entry in entries}
    if any(name.endswith(MANIFEST_SUFFIX) for name in names) and _DATASET_FILE not in names:
        logger.warning(
            "%s: has no %s, so its build did not end (tools/build_dataset.py --resume goes on "
            "with it) or only some of its shards are here",
            folder,
            _DATASET_FILE,
        )


@dataclass(frozen=True)
class RecordFile:
    """One file of records.

    Attributes:
        path: the file.
        loader: "TFRecordDataset" or "MindDataset".
    """

    path: Path
    loader: str

    def identity(self) -> list[Any]:
        """Return path, size and time of change."""
        stat = self.path.stat()
        return [str(self.path.resolve()), stat.st_size, stat.st_mtime_ns, self.loader]

    def batches(self, tokenizer: Tokenizer) -> Iterator[tuple[str, Columns]]:
        """Yield (form, columns); the manifest is compared first where there is one.

        Raises:
            DataError: damaged, made with another vocabulary, or ids that are in none.
        """
        manifest = verified_manifest(self.path)
        if manifest and manifest.tokenizer_fingerprint != tokenizer.fingerprint():
            raise DataError(
                f"{self.path}: was built with another vocabulary (or do_lower_case) than this run "
                "has; give the same one by --vocab_file"
            )
        rows = 0
        for form, columns in READERS[self.loader](self.path):
            self._check(form, columns, tokenizer.vocab_size, rows)
            rows += count_rows(columns)
            yield form, columns
        self._check_count(manifest, rows)

    def _check(self, form: str, columns: Columns, vocab_size: int, first: int) -> None:
        tokens = columns["tokens" if form == DYNAMIC else "input_ids"]
        wrong = np.flatnonzero((tokens.values < 0) | (tokens.values >= vocab_size))
        if len(wrong):
            row = int(np.searchsorted(np.cumsum(tokens.lengths), wrong[0], side="right"))
            raise DataError(
                f"{self.path}: row {first + row + 1} holds the token {tokens.values[wrong[0]]}, "
                f"and the vocabulary has {vocab_size}; give the vocabulary it was built with by "
                "--vocab_file"
            )

    def _check_count(self, manifest: Manifest | None, rows: int) -> None:
        if manifest is None:
            logger.info("%s: %d rows", self.path, rows)
        elif manifest.rows != rows:
            raise DataError(f"{self.path}: {rows} rows, {manifest.rows} were written")
