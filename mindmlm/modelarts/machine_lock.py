"""One process of a machine at a time, and the others know whom they wait for.

The lock is `flock` on a local file: it goes with the process that holds it, whatever ends that.
"""

import fcntl
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mindmlm.errors import MindmlmError

_POLL_SECONDS = 0.2
_SAY_SECONDS = 60.0


class WaitedTooLongError(MindmlmError):
    """Another process of this machine has not finished in time."""


class MachineLock:
    """A lock among the processes of one machine.

    Args:
        path: the file; made with its folder. What it holds is for messages only.
        purpose: what it is held for: "downloading obs://...".
        rank: of this process, for messages.
    """

    def __init__(self, path: Path, purpose: str, rank: int) -> None:
        self._path = path
        self._purpose = purpose
        self._rank = rank
        self._descriptor = -1

    def take(self, wait_seconds: float, say: Callable[[str], None]) -> None:
        """Take it, waiting for the process that has it.

        Raises:
            WaitedTooLongError: it was not free in time; the message says who held it and how far
                that one had come.
            OSError: the file cannot be made.
        """
        start = time.monotonic()
        said = start - _SAY_SECONDS
        while not self.try_to_take():
            waited = time.monotonic() - start
            if waited > wait_seconds:
                raise WaitedTooLongError(
                    f"waited {waited:.0f} s for {self._holder()}; look at its log, or allow more "
                    f"by MINDMLM_WAIT_SECONDS ({self._path})"
                )
            if time.monotonic() - said >= _SAY_SECONDS:
                said = time.monotonic()
                say(f"waiting for {self._holder()}")
            time.sleep(_POLL_SECONDS)

    def try_to_take(self) -> bool:
        """Take it if it is free; whether it was.

        Raises:
            OSError: the file cannot be made.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        try:
            self.note("")
        except OSError:  # the disk is full
            self.release()
            raise
        return True

    def note(self, progress: str) -> None:
        """Tell those who wait how far this process has come."""
        holder = {
            "rank": self._rank,
            "pid": os.getpid(),
            "since": time.strftime("%H:%M:%S"),
            "purpose": self._purpose,
            "progress": progress,
        }
        data = json.dumps(holder, ensure_ascii=False).encode()
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, data, 0)

    def release(self) -> None:
        """Give it back."""
        os.close(self._descriptor)
        self._descriptor = -1

    def _holder(self) -> str:
        """Who holds it, in words."""
        try:
            holder: dict[str, Any] = json.loads(self._path.read_text(encoding="utf-8"))
            progress = f", {holder['progress']}" if holder["progress"] else ""
            return (
                f"rank {holder['rank']} (process {holder['pid']}, {holder['purpose']}{progress}, "
                f"last sign at {holder['since']})"
            )
        except (OSError, ValueError, KeyError, TypeError):
            return f"another process that holds {self._path}"
