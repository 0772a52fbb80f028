"""Rank 0's output on the launcher's screen, line by line, and the launcher's own lines between."""

import sys
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

_CHUNK = 1 << 16


class Follower:
    """Copies what is appended to a file, whole lines at a time.

    A progress bar ends its lines with a carriage return; these count as lines too.

    Args:
        path: the file, which need not be there yet.
        target: where the lines go.
        offset: byte of the file to begin at.
    """

    def __init__(self, path: Path, target: BinaryIO, offset: int = 0) -> None:
        self._path = path
        self._target: BinaryIO | None = target
        self._offset = offset
        self._rest = b""

    def forward(self) -> None:
        """Copy the lines that are complete by now."""
        while data := self._read():
            complete, self._rest = _split(self._rest + data)
            self._write(complete)

    def finish(self) -> None:
        """Copy everything, the last line without an end too."""
        self.forward()
        if self._rest:
            self._write(self._rest + b"\n")
            self._rest = b""

    def _read(self) -> bytes:
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                data = file.read(_CHUNK)
        except FileNotFoundError:
            return b""
        self._offset += len(data)
        return data

    def _write(self, data: bytes) -> None:
        if self._target is None or not data:
            return
        try:
            self._target.write(data)
            self._target.flush()
        except OSError:
            # The reader of our output has gone; the log file has everything.
            self._target = None


def _split(data: bytes) -> tuple[bytes, bytes]:
    end = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
    return data[:end], data[end:]


class Screen:
    """The launcher's own messages, on standard error and in `launcher.log`; rank 0's output.

    Args:
        log_dir: folder of `launcher.log`.
    """

    def __init__(self, log_dir: Path) -> None:
        self._log = log_dir / "launcher.log"
        self._followers: list[Follower] = []

    def follow(self, stdout: Path, stderr: Path) -> None:
        """Copy these files to standard output and standard error from now on."""
        self._followers = [
            Follower(stdout, sys.stdout.buffer),
            Follower(stderr, sys.stderr.buffer),
        ]

    def forward(self) -> None:
        """Copy the complete lines."""
        for follower in self._followers:
            follower.forward()

    def finish(self) -> None:
        """Copy the rest."""
        for follower in self._followers:
            follower.finish()
        self._followers = []

    def say(self, text: str) -> None:
        """Print a message of the launcher."""
        shown = text + "\n"
        # The job goes on when the disk is full, and when the reader of our output has gone.
        with suppress(OSError), self._log.open("a", encoding="utf-8") as file:
            file.write(shown)
        with suppress(OSError):
            sys.stderr.write(shown)
            sys.stderr.flush()
