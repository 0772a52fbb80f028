"""How a rank tells its launcher that it goes on, and where it is; cheap enough for every phase."""

import faulthandler
import os
import signal
from dataclasses import dataclass
from pathlib import Path

from mindmlm.runtime.launch.protocol import HEARTBEAT_VARIABLE

_RECORD_BYTES = 128


@dataclass(frozen=True)
class Beat:
    """The last sign of life of a rank.

    Args:
        count: signs so far; ranks of one job do the same phases, so it tells who is behind.
        place: where the rank was, for example "step 12, data".
    """

    count: int
    place: str


class Heartbeat:
    """Writes the signs of life of this process into the file that the launcher reads."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
        self._count = 0

    @classmethod
    def from_environment(cls) -> "Heartbeat | None":
        """The heartbeat that the launcher asks for; None without a launcher."""
        name = os.environ.get(HEARTBEAT_VARIABLE)
        return cls(Path(name)) if name else None

    def beat(self, place: str) -> None:
        """Say that this rank has come to `place`."""
        self._count += 1
        record = f"{self._count} {place}".encode()[:_RECORD_BYTES]
        os.pwrite(self._descriptor, record.ljust(_RECORD_BYTES), 0)


def answer_stack_requests() -> None:
    """Let SIGUSR1 write the stacks of all threads to standard error, under a launcher."""
    if os.environ.get(HEARTBEAT_VARIABLE):
        faulthandler.register(signal.SIGUSR1)


def read_beat(path: Path) -> Beat | None:
    """The last sign of life in a file; None when there is none yet."""
    try:
        count, _, place = path.read_text(encoding="utf-8", errors="replace").partition(" ")
        return Beat(int(count), place.strip())
    except (OSError, ValueError):
        return None
