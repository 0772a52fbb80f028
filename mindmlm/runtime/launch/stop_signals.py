"""The signals that ask a launcher to stop."""

import signal
from types import FrameType
from typing import Any

_TAKEN = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopSignals:
    """Context that notes SIGINT, SIGTERM and SIGHUP instead of dying of them.

    A signal that is ignored when the launcher starts (`nohup` does so with SIGHUP) stays ignored.

    Attributes:
        received: the numbers so far, in order.
    """

    def __init__(self) -> None:
        self.received: list[int] = []
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> "StopSignals":
        for number in _TAKEN:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    @property
    def forced(self) -> bool:
        """Whether a second SIGINT or SIGTERM came; a terminal that closes sends several SIGHUP."""
        return sum(number != signal.SIGHUP for number in self.received) > 1

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received.append(number)
