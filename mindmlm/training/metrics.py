"""``metrics.jsonl``: one JSON object a line, one line a step or an evaluation."""

import json
import logging
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mindmlm.runtime.files import atomic_file

logger = logging.getLogger(__name__)

TAIL_BYTES = 64 * 1024


class MetricsWriter:
    """Appends lines to a metrics file; each is complete in the file when `write` returns.

    A last line that a killed process left incomplete is cut off when the file is opened. Only one
    writer may have the file open.

    Args:
        path: the file; made with its folder when it is not there.

    Raises:
        OSError: the file cannot be opened or written; from the other methods too.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = self._open()
        self._cut_torn_line()

    def _open(self) -> int:
        return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)

    def _cut_torn_line(self) -> None:
        size = end = os.fstat(self._descriptor).st_size
        while end > 0:
            start = max(0, end - TAIL_BYTES)
            newline = os.pread(self._descriptor, end - start, start).rfind(b"\n")
            if newline >= 0:
                end = start + newline + 1
                break
            end = start
        if end < size:
            os.ftruncate(self._descriptor, end)

    def write(self, record: Mapping[str, Any]) -> None:
        """Append one line. Numbers are not rounded; NaN and infinities become ``null``."""
        text = json.dumps({key: _plain(value) for key, value in record.items()}, allow_nan=False)
        data = (text + "\n").encode("ascii")
        # One call to the system for a whole line: a reader never sees half of it.
        written = os.write(self._descriptor, data)
        while written < len(data):
            written += os.write(self._descriptor, data[written:])

    def sync(self) -> None:
        """Force the lines to the disk; called before a checkpoint that builds on them."""
        os.fsync(self._descriptor)

    def truncate_after(self, step: int) -> None:
        """Drop the lines of steps after ``step``, training and evaluation lines alike.

        Lines without a ``step`` stay. Lines that are not JSON (a power cut may leave such) are
        dropped with a warning. The file is replaced atomically and read line by line.
        """
        unreadable = 0
        with self._path.open("rb") as lines, atomic_file(self._path) as kept:
            for line in lines:
                found = _step_of(line)
                unreadable += found is None
                if found is not None and found <= step:
                    kept.write(line)
        if unreadable:
            logger.warning("%s: %d unreadable lines were dropped", self._path, unreadable)
        os.close(self._descriptor)
        self._descriptor = self._open()

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> "MetricsWriter":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class NoMetrics:
    """Stands for the writer in the processes that keep no metrics."""

    def write(self, record: Mapping[str, Any]) -> None:
        """Do nothing."""

    def sync(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


def _plain(value: Any) -> Any:
    """Turn numpy's scalars into Python's and a number that JSON has no form for into None."""
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _step_of(line: bytes) -> float | None:
    """Return a line's step, minus infinity when it has none, None when it is not an object."""
    try:
        record = json.loads(line)
    except ValueError:
        return None
    if not isinstance(record, dict):
        return None
    step = record.get("step", -math.inf)
    return step if isinstance(step, int | float) else None
