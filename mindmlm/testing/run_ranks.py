"""A program in several processes that MindSpore joins to one cluster, on this machine's CPU."""

import contextlib
import ctypes
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO

_HOST = "127.0.0.1"
# Below the range from which the system gives out ports, so that nothing takes it before we bind.
_PORTS = (20_000, 32_000)
_POLL_SECONDS = 0.05
# How long the others may go on after a rank failed, to write down what they saw.
_GRACE_SECONDS = 1.0
_SHOWN_CHARACTERS = 4000
_PR_SET_PDEATHSIG = 1
_SCHEDULER = ("-c", "from mindspore.communication import init; init()")


class RanksError(AssertionError):
    """A rank ended with an error, or the time was up; the message holds the ranks' output."""


@dataclass
class Ranks:
    """Running processes: one a rank, and MindSpore's scheduler if there are several.

    Args:
        folder: where their output goes, a file for each rank and stream.
    """

    folder: Path
    processes: list[subprocess.Popen] = field(default_factory=list)
    scheduler: subprocess.Popen | None = None

    def stdout(self, rank: int) -> str:
        """What `rank` has printed so far."""
        return self._path(f"rank_{rank}", "stdout").read_text(encoding="utf-8", errors="replace")

    def stderr(self, rank: int) -> str:
        """What `rank` has written to standard error so far."""
        return self._path(f"rank_{rank}", "stderr").read_text(encoding="utf-8", errors="replace")

    def codes(self) -> list[int | None]:
        """Exit codes by rank; None: still running, negative: the signal that ended it."""
        return [process.poll() for process in self.processes]

    def wait(self, timeout: float) -> list[str]:
        """Wait for all ranks and return what each printed.

        Raises:
            RanksError: a rank's exit code is not 0, or it took longer than `timeout` seconds.
        """
        end = time.monotonic() + timeout
        while None in self.codes():
            if any(self.codes()) or self._scheduler_failed():
                self._settle()
                break
            if time.monotonic() > end:
                raise RanksError(f"not finished after {timeout:g} s\n{self._report(self.codes())}")
            time.sleep(_POLL_SECONDS)
        codes = self.codes()
        if any(code != 0 for code in codes):
            raise RanksError(f"exit codes {codes}\n{self._report(codes)}")
        return [self.stdout(rank) for rank in range(len(self.processes))]

    def start(self, name: str, words: Sequence[str], env: Mapping[str, str]) -> subprocess.Popen:
        """Start this interpreter with `words` in a process that does not outlive us."""
        with self._open(name, "stdout") as out, self._open(name, "stderr") as err:
            return subprocess.Popen(
                [sys.executable, *words],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=dict(env),
                cwd=self.folder,
                start_new_session=True,
                preexec_fn=_die_with_parent(),
            )

    def kill(self) -> None:
        """End every process at once, with what it started itself."""
        everyone = [*self.processes, *([self.scheduler] if self.scheduler else [])]
        for process in everyone:
            # The number of a process that was waited for may be another one's by now.
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
        for process in everyone:
            process.wait()

    def _path(self, name: str, stream: str) -> Path:
        return self.folder / f"{name}.{stream}"

    def _open(self, name: str, stream: str) -> IO[bytes]:
        return self._path(name, stream).open("wb")

    def _scheduler_failed(self) -> bool:
        return self.scheduler is not None and bool(self.scheduler.poll())

    def _settle(self) -> None:
        end = time.monotonic() + _GRACE_SECONDS
        while None in self.codes() and time.monotonic() < end:
            time.sleep(_POLL_SECONDS)

    def _report(self, codes: Sequence[int | None]) -> str:
        """The ends of the output of all ranks that did not succeed, and of the scheduler."""
        names = [f"rank_{rank}" for rank, code in enumerate(codes) if code != 0]
        names += ["scheduler"] if self.scheduler else []
        return "\n".join(
            f"--- {name} {stream} ---\n{text[-_SHOWN_CHARACTERS:]}"
            for name in names
            for stream in ("stdout", "stderr")
            if (text := self._path(name, stream).read_text(encoding="utf-8", errors="replace"))
        )


def run_ranks(
    program: str | Path,
    world_size: int,
    args: Sequence[str | Path] = (),
    timeout: float = 300.0,
    env: Mapping[str, str] | None = None,
) -> list[str]:
    """Run `program` on `world_size` ranks, wait for all, and return what each printed.

    When one fails the others are ended a second later. Nothing is left running, and where they
    wrote is deleted.

    Args:
        program: a Python file (a path that ends in .py), or a module as for ``python -m``.
        world_size: number of processes. One runs plainly, without a cluster.
        args: the same arguments for all; a process finds its number in RANK_ID.
        timeout: seconds for all of it.
        env: variables beside or instead of this process's own.

    Raises:
        RanksError: a rank failed or the time is up; the message shows the output of the ranks.
    """
    with started_ranks(program, world_size, args, env) as ranks:
        return ranks.wait(timeout)


@contextlib.contextmanager
def started_ranks(
    program: str | Path,
    world_size: int,
    args: Sequence[str | Path] = (),
    env: Mapping[str, str] | None = None,
) -> Iterator[Ranks]:
    """Start `program` on all ranks and kill what still runs at the end; see `run_ranks`."""
    path = str(program)
    words = [str(Path(path).resolve())] if path.endswith(".py") else ["-m", path]
    common = _environment(world_size)
    with tempfile.TemporaryDirectory(prefix="ranks_") as folder:
        ranks = Ranks(Path(folder))
        try:
            if world_size > 1:
                common |= _cluster(world_size)
                own = {"MS_ROLE": "MS_SCHED", "MS_NODE_TIMEOUT": "10"} | dict(env or {})
                ranks.scheduler = ranks.start("scheduler", _SCHEDULER, common | own)
            for rank in range(world_size):
                own = {"RANK_ID": str(rank), "DEVICE_ID": str(rank), "MS_NODE_ID": str(rank)}
                own |= {"MS_ROLE": "MS_WORKER"} if world_size > 1 else {}
                own |= dict(env or {})
                ranks.processes.append(
                    ranks.start(f"rank_{rank}", [*words, *map(str, args)], common | own)
                )
            yield ranks
        finally:
            ranks.kill()


def _environment(world_size: int) -> dict[str, str]:
    """Our variables without those of another cluster, and few threads a process."""
    own = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("MS_") and name not in {"RANK_ID", "RANK_SIZE", "RANK_TABLE_FILE"}
    }
    threads = max(1, (os.cpu_count() or 1) // world_size)
    return own | {"OMP_NUM_THREADS": str(threads), "GLOG_v": "3", "PYTHONUNBUFFERED": "1"}


def _cluster(world_size: int) -> dict[str, str]:
    """Variables by which MindSpore's processes find each other, and their patience in seconds.

    MS_NODE_TIMEOUT is, for a rank, how long it waits in a collective (MindSpore 2.10 calls that
    MS_CPU_COMM_OP_TIMEOUT): others may compile or save. For the scheduler, which has its own, it is
    the time until it misses a dead rank. Who asks for the scheduler too early asks again after
    MS_RETRY_INTERVAL_*: one second instead of three to five makes a start two to three seconds
    shorter.
    """
    return {
        "MS_WORKER_NUM": str(world_size),
        "RANK_SIZE": str(world_size),
        "MS_SCHED_HOST": _HOST,
        "MS_SCHED_PORT": str(_free_port()),
        "MS_TOPO_TIMEOUT": "120",
        "MS_NODE_TIMEOUT": "600",
        "MS_CPU_COMM_OP_TIMEOUT": "600",
        "MS_RETRY_INTERVAL_LOWER": "1",
        "MS_RETRY_INTERVAL_UPPER": "1",
    }


def _free_port() -> int:
    while True:
        port = random.SystemRandom().randrange(*_PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((_HOST, port))
            return port


def _die_with_parent() -> partial | None:
    """What makes Linux kill a child when we are killed ourselves (nobody could clean up then)."""
    if not sys.platform.startswith("linux"):
        return None
    return partial(ctypes.CDLL(None).prctl, _PR_SET_PDEATHSIG, signal.SIGKILL)
