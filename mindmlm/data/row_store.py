"""Rows that were masked when they were built, memory-mapped."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from mindmlm.data.sentence_pairs.batch import PairBatch
from mindmlm.data.store import token_dtype
from mindmlm.errors import DataError
from mindmlm.runtime.files import write_text_atomic

FORMAT_VERSION = 2
_META = "meta.json"
_ROW_FIELDS = ("input_ids", "input_mask", "segment_ids")
_PREDICTION_FIELDS = ("masked_lm_positions", "masked_lm_ids", "masked_lm_weights")
_LABEL = "next_sentence_labels"


class RowStore:
    """Masked rows of one length, read from a folder that `RowStoreWriter` wrote.

    Attributes:
        path: the folder.
        num_samples: rows.
        max_seq_length, predictions: L and P of every row.
        fingerprint: hexadecimal digest of the contents.

    Raises:
        DataError: the folder is missing, incomplete, damaged or of another version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        meta = _read_meta(path)
        self.num_samples: int = meta["num_samples"]
        self.max_seq_length: int = meta["max_seq_length"]
        self.predictions: int = meta["predictions"]
        self.fingerprint: str = meta["fingerprint"]
        dtypes = _dtypes(np.dtype(meta["token_dtype"]))
        widths = _widths(self.max_seq_length, self.predictions)
        self._arrays = {
            name: np.memmap(
                path / f"{name}.bin", dtype, "r", shape=(self.num_samples, widths[name])
            )
            for name, dtype in dtypes.items()
        }

    def batch(self, sample_ids: np.ndarray) -> PairBatch:
        """Return the rows of int64 [B] ids, each in 0 .. num_samples - 1; labels 0 if unknown."""
        rows = {name: array[sample_ids] for name, array in self._arrays.items()}
        rows[_LABEL] = rows[_LABEL][:, 0]
        integers = {name: rows[name].astype(np.int32) for name in rows if "weights" not in name}
        return PairBatch(
            **integers,
            masked_lm_weights=rows["masked_lm_weights"].astype(np.float32),
            sample_ids=sample_ids,
        )


class RowStoreWriter:
    """Write a `RowStore` into a new folder; `finish` makes it one.

    Args:
        path: the folder to make.
        vocab_size: decides the width of a token on disk.
        max_seq_length, predictions: L and P of every row.
    """

    def __init__(self, path: Path, vocab_size: int, max_seq_length: int, predictions: int) -> None:
        path.mkdir(parents=True)
        self._path = path
        self._token_dtype = token_dtype(vocab_size)
        self._dtypes = _dtypes(self._token_dtype)
        self._shape = (max_seq_length, predictions)
        self._files: dict[str, BinaryIO] = {
            name: (path / f"{name}.bin").open("xb") for name in self._dtypes
        }
        self._digests = {name: hashlib.blake2b(digest_size=16) for name in self._files}
        self.num_samples = 0

    def append(self, columns: dict[str, np.ndarray]) -> None:
        """Add rows, given as matrices [rows, L] and [rows, P], and labels if there are any."""
        if _LABEL not in columns:
            columns = {**columns, _LABEL: np.zeros((len(columns["input_ids"]), 1))}
        for name, file in self._files.items():
            data = np.ascontiguousarray(columns[name], self._dtypes[name]).tobytes()
            file.write(data)
            self._digests[name].update(data)
        self.num_samples += len(columns["input_ids"])

    def finish(self) -> None:
        """Force everything to the disk and write what makes the folder a store."""
        for file in self._files.values():
            file.flush()
            os.fsync(file.fileno())
        self.close()
        parts = "".join(digest.hexdigest() for digest in self._digests.values())
        meta = {
            "format_version": FORMAT_VERSION,
            "token_dtype": self._token_dtype.str,
            "num_samples": self.num_samples,
            "max_seq_length": self._shape[0],
            "predictions": self._shape[1],
            "fingerprint": hashlib.blake2b(parts.encode(), digest_size=16).hexdigest(),
        }
        write_text_atomic(self._path / _META, json.dumps(meta, indent=1))

    def close(self) -> None:
        """Close the files; may be called again."""
        for file in self._files.values():
            file.close()


def _dtypes(tokens: np.dtype) -> dict[str, np.dtype]:
    return {
        "input_ids": tokens,
        "input_mask": np.dtype("u1"),
        "segment_ids": np.dtype("u1"),
        "masked_lm_positions": np.dtype("<u2"),
        "masked_lm_ids": tokens,
        "masked_lm_weights": np.dtype("<f4"),
        _LABEL: np.dtype("u1"),
    }


def _widths(max_seq_length: int, predictions: int) -> dict[str, int]:
    rows = dict.fromkeys(_ROW_FIELDS, max_seq_length)
    return rows | dict.fromkeys(_PREDICTION_FIELDS, predictions) | {_LABEL: 1}


def _read_meta(path: Path) -> dict[str, Any]:
    try:
        meta: dict[str, Any] = json.loads((path / _META).read_text(encoding="utf-8"))
        if meta["format_version"] != FORMAT_VERSION:
            raise DataError(f"{path}: prepared rows of format {meta['format_version']}")
        widths = _widths(meta["max_seq_length"], meta["predictions"])
        for name, dtype in _dtypes(np.dtype(meta["token_dtype"])).items():
            expected = meta["num_samples"] * widths[name] * dtype.itemsize
            found = (path / f"{name}.bin").stat().st_size
            if found != expected or not expected:
                raise DataError(f"{path / name}.bin: {found} bytes, {expected} were written")
        if not meta["fingerprint"]:
            raise DataError(f"{path / _META}: no fingerprint")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: prepared rows are incomplete or damaged: {error}") from None
    return meta
