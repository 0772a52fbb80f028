"""Where the time of a run goes, phase by phase."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mindmlm.runtime.launch.heartbeat import Heartbeat


class PhaseTimer:
    """Adds up wall-clock seconds by phase name.

    Args:
        heartbeat: told of the beginning of every phase, for a launcher that looks for hangs.
    """

    def __init__(self, heartbeat: Heartbeat | None = None) -> None:
        self._heartbeat = heartbeat
        self.seconds: dict[str, float] = {}
        self.calls: dict[str, int] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Count the time of the `with` block to phase `name`."""
        if self._heartbeat is not None:
            self._heartbeat.beat(f"{name} number {self.calls.get(name, 0) + 1}")
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start
            self.calls[name] = self.calls.get(name, 0) + 1

    def report(self) -> dict[str, Any]:
        """Seconds, calls and share of the total for each phase, longest first."""
        total = sum(self.seconds.values()) or 1.0
        ordered = sorted(self.seconds.items(), key=lambda item: -item[1])
        return {
            name: {"seconds": seconds, "calls": self.calls[name], "share": seconds / total}
            for name, seconds in ordered
        }
