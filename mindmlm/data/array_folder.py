"""A folder of one-dimensional arrays on disk, written in pieces and read memory-mapped."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from mindmlm.errors import DataError
from mindmlm.runtime.files import write_text_atomic

_META = "meta.json"


class ArrayFolderWriter:
    """Write arrays piece by piece; `finish` makes the folder readable.

    Args:
        path: an existing, empty folder.
        dtypes: name -> type of each array.
        version: of what the arrays mean.

    Raises:
        OSError: the disk is full or the folder cannot be written.
    """

    def __init__(self, path: Path, dtypes: Mapping[str, np.dtype], version: int) -> None:
        self._path = path
        self._dtypes = dict(dtypes)
        self._version = version
        self._files: dict[str, BinaryIO] = {
            name: (path / f"{name}.bin").open("xb") for name in dtypes
        }
        self._digests = {name: hashlib.blake2b(digest_size=16) for name in dtypes}
        self.lengths = dict.fromkeys(dtypes, 0)

    def __enter__(self) -> "ArrayFolderWriter":
        return self

    def __exit__(self, *exception: object) -> None:
        for file in self._files.values():
            file.close()

    def append(self, name: str, values: Any) -> None:
        """Add values to the end of an array."""
        array = np.ascontiguousarray(values, self._dtypes[name]).reshape(-1)
        data = array.tobytes()
        self._files[name].write(data)
        self._digests[name].update(data)
        self.lengths[name] += len(array)

    def finish(self, facts: Mapping[str, Any]) -> None:
        """Force everything to the disk; ``facts`` (JSON values) are kept beside the arrays."""
        for file in self._files.values():
            file.flush()
            os.fsync(file.fileno())
        digests = "".join(digest.hexdigest() for digest in self._digests.values())
        meta = {
            "version": self._version,
            "dtypes": {name: dtype.str for name, dtype in self._dtypes.items()},
            "lengths": self.lengths,
            "fingerprint": hashlib.blake2b(digests.encode(), digest_size=16).hexdigest(),
            "facts": dict(facts),
        }
        write_text_atomic(self._path / _META, json.dumps(meta, indent=1, ensure_ascii=False))


class ArrayFolder:
    """What an `ArrayFolderWriter` wrote.

    Args:
        path: the folder.
        version: that it must have.

    Attributes:
        arrays: name -> values.
        facts: see `ArrayFolderWriter.finish`.
        fingerprint: hexadecimal digest of all values.

    Raises:
        DataError: the folder is missing, incomplete, damaged or of another version.
    """

    def __init__(self, path: Path, version: int) -> None:
        try:
            meta = json.loads((path / _META).read_text(encoding="utf-8"))
            if meta["version"] != version:
                raise DataError(f"{path}: prepared data of version {meta['version']}")
            self.fingerprint = str(meta["fingerprint"])
            self.facts: dict[str, Any] = dict(meta["facts"])
            self.arrays = {
                name: _mapped(path / f"{name}.bin", np.dtype(dtype), meta["lengths"][name])
                for name, dtype in meta["dtypes"].items()
            }
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{path}: prepared data is incomplete or damaged: {error}") from None


def _mapped(path: Path, dtype: np.dtype, length: int) -> np.ndarray:
    found = path.stat().st_size
    if found != length * dtype.itemsize:
        raise DataError(f"{path}: {found} bytes, {length * dtype.itemsize} were written")
    # Nothing can be mapped of an empty file. As plain arrays: slices of a `memmap` are slow.
    return np.asarray(np.memmap(path, dtype, "r")) if length else np.zeros(0, dtype)
