"""Runs two workers in turn, A B A B ..., and compares the medians."""

import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Benchmark:
    """A measurement of ours beside a peer's.

    Args:
        title: what is measured, for people.
        unit: of both numbers.
        ours, peer: worker script and its arguments.
        peer_name: whose work the peer is.
        lower_is_better: of seconds and megabytes; by default more is better, as of tokens/s.
    """

    title: str
    unit: str
    ours: tuple[str, ...]
    peer: tuple[str, ...]
    peer_name: str
    lower_is_better: bool = False


@dataclass(frozen=True)
class Result:
    """Medians over the rounds.

    `ratio` is how many times better ours is, the median of the pairs: ours / peer, or peer / ours
    where lower is better. More than 1 is better than the peer in both cases.
    """

    name: str
    ours: float
    peer: float
    ratio: float
    unit: str
    lower_is_better: bool
    ours_rounds: list[float]
    peer_rounds: list[float]

    @classmethod
    def of_rounds(
        cls, name: str, benchmark: Benchmark, ours: Sequence[float], peer: Sequence[float]
    ) -> "Result":
        """Compare what both sides measured, a number a round each."""
        better, worse = (peer, ours) if benchmark.lower_is_better else (ours, peer)
        return cls(
            name=name,
            ours=statistics.median(ours),
            peer=statistics.median(peer),
            ratio=statistics.median(a / b for a, b in zip(better, worse, strict=True)),
            unit=benchmark.unit,
            lower_is_better=benchmark.lower_is_better,
            ours_rounds=list(ours),
            peer_rounds=list(peer),
        )

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
        """Let the worker measure once; returns its number."""
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
    """Warm both sides up one after the other, then let them take `rounds` turns each.

    Progress goes to standard error.

    Raises:
        RuntimeError: a worker ended before its time; its own message is on standard error.
    """
    workers = []
    for side, arguments in (("ours", benchmark.ours), ("peer", benchmark.peer)):
        _say(f"{name}: warming up {side}")
        workers.append(Worker(arguments))
        workers[-1].wait_until_ready()
    pairs = []
    for number in range(rounds):
        pairs.append(tuple(worker.measure() for worker in workers))
        ours, peer = pairs[-1]
        _say(f"{name}: round {number + 1}/{rounds}: {ours:.2f} beside {peer:.2f} {benchmark.unit}")
    for worker in workers:
        worker.close()
    return Result.of_rounds(name, benchmark, *zip(*pairs, strict=True))


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
