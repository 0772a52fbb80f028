"""Runs two workers in turn, A B A B ..., and compares the medians."""

import statistics
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Benchmark:
    """A measurement of ours beside a peer's.

    Args:
        title: what is measured, for people.
        unit: of both numbers; higher is better.
        ours, peer: worker script and its arguments.
        peer_name: whose work the peer is.
    """

    title: str
    unit: str
    ours: tuple[str, ...]
    peer: tuple[str, ...]
    peer_name: str


@dataclass(frozen=True)
class Result:
    """Medians over the rounds; `ratio` is our speed divided by the peer's, median of the pairs."""

    name: str
    ours: float
    peer: float
    ratio: float
    unit: str
    ours_rounds: list[float]
    peer_rounds: list[float]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


class Worker:
    """One side in its own process."""

    def __init__(self, arguments: tuple[str, ...]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(FOLDER / arguments[0]), *arguments[1:]],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        self.name = arguments[0]

    def wait_until_ready(self) -> None:
        """Return when the warm-up is done."""
        self._line()

    def measure(self) -> float:
        """Let the worker work once; returns its units per second."""
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        return float(self._line())

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(timeout=60)

    def _line(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} ended with exit code {self.process.wait()}")
        return line


def run_benchmark(name: str, benchmark: Benchmark, rounds: int) -> Result:
    """Warm both sides up one after the other, then let them take `rounds` turns each."""
    workers = []
    for arguments in (benchmark.ours, benchmark.peer):
        workers.append(Worker(arguments))
        workers[-1].wait_until_ready()
    pairs = [tuple(worker.measure() for worker in workers) for _ in range(rounds)]
    for worker in workers:
        worker.close()
    ours, peer = ([pair[side] for pair in pairs] for side in (0, 1))
    ratio = statistics.median(a / b for a, b in pairs)
    return Result(
        name, statistics.median(ours), statistics.median(peer), ratio, benchmark.unit, ours, peer
    )
