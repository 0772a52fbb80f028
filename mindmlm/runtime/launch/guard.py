"""A small process that kills the ranks when their launcher is killed.

The kernel kills the ranks themselves (PR_SET_PDEATHSIG), but not the processes that they have
started, for example to encode text. The guard waits at the end of a pipe whose other end the
launcher holds; when the launcher dies, the pipe closes.
"""

import os
import signal
from contextlib import suppress

_ADD, _END = b"+", b"."
_IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


class Guard:
    """Started before the first rank; `watch` each of them, `release` at the end."""

    def __init__(self) -> None:
        reader, self._writer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._writer)
            _guard(reader)
        os.close(reader)

    def watch(self, group: int) -> None:
        """Kill this process group should the launcher die."""
        os.write(self._writer, _ADD + str(group).encode() + b"\n")

    def release(self) -> None:
        """End the guard without killing anything; all groups are gone."""
        with suppress(BrokenPipeError):
            os.write(self._writer, _END + b"\n")
        os.close(self._writer)
        with suppress(ChildProcessError):
            os.waitpid(self.pid, 0)


def _guard(reader: int) -> None:
    """Never returns."""
    try:
        os.setsid()
        for number in _IGNORED:
            signal.signal(number, signal.SIG_IGN)
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        _kill_when_closed(reader)
    finally:
        os._exit(0)


def _kill_when_closed(reader: int) -> None:
    received = b""
    while data := os.read(reader, 4096):
        received += data
    lines = received.splitlines()
    if _END in lines:
        return
    for line in lines:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(int(line.removeprefix(_ADD)), signal.SIGKILL)
