"""A launcher as a process of its own, and the search for what it might have left running."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent


def running_with(marker: str) -> dict[int, str]:
    """Processes, zombies apart, in whose environment `marker` stands; pid to command line."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if marker.encode() in (folder / "environ").read_bytes().split(b"\0"):
                found[int(folder.name)] = (folder / "cmdline").read_text().replace("\0", " ")
        except OSError:
            continue
    return found


class Launched:
    """A running launcher; everything it starts inherits a mark of this test."""

    def __init__(
        self, folder: Path, options: dict[str, Any], environment: dict[str, str], words: list[str]
    ) -> None:
        self.folder = folder
        for name in ("meeting", "checkpoint"):
            (folder / name).mkdir(exist_ok=True)
        self.mark = f"LAUNCH_TEST={folder}"
        plain = [str(HERE / "plain_worker.py"), str(folder / "checkpoint")]
        options = {"folder": str(folder), "command": plain, **options}
        self.process = subprocess.Popen(
            words or [sys.executable, str(HERE / "drive.py"), json.dumps(options)],
            env={
                **os.environ,
                "LAUNCH_TEST": str(folder),
                "PLAIN_MEETING": str(folder / "meeting"),
                **environment,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            start_new_session=True,
        )

    def wait_for(self, condition: Callable[[], object], seconds: float = 60.0) -> Any:
        """Wait until the condition gives something true, and return that."""
        deadline = time.monotonic() + seconds
        while not (value := condition()):
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < deadline, "waited too long"
            time.sleep(0.005)
        return value

    def wait_for_step(self, step: int, seconds: float = 60.0) -> None:
        self.wait_for((self.folder / "checkpoint" / str(step)).exists, seconds)

    def processes(self, variable: str) -> dict[int, str]:
        """Running processes of this job that have the variable, for example "RANK_ID=3"."""
        ours = running_with(self.mark)
        return {pid: command for pid, command in running_with(variable).items() if pid in ours}

    def rank_pid_or_none(self, rank: int) -> int | None:
        """The process of a rank that runs (its children have other command lines)."""
        for pid, command in self.processes(f"RANK_ID={rank}").items():
            if "worker.py" in command or "run_mindformer.py" in command:
                return pid
        return None

    def rank_pid(self, rank: int) -> int:
        """The process of a rank, which has to run."""
        pid = self.rank_pid_or_none(rank)
        assert pid is not None, f"rank {rank} does not run"
        return pid

    def finish(self, seconds: float = 30.0) -> tuple[int, str, str]:
        """Exit code, standard output, standard error; at the end nothing may be left running."""
        out, err = self.process.communicate(timeout=seconds)
        self.nothing_is_left()
        return self.process.returncode, out, err

    def nothing_is_left(self, seconds: float = 5.0) -> None:
        deadline = time.monotonic() + seconds
        while left := running_with(self.mark):
            assert time.monotonic() < deadline, left
            time.sleep(0.02)

    def log(self, name: str) -> str:
        """A file of the newest launch; empty when there is none yet."""
        pattern = name if "/" in name else f"*/{name}"
        found = sorted((self.folder / "log").glob(pattern))
        return found[-1].read_text(encoding="utf-8") if found else ""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Launched]]:
    """Start a launcher; at the end of the test all of its processes are gone."""
    launched: list[Launched] = []

    def begin(
        options: dict[str, Any] | None = None, words: list[str] | None = None, **environment: Any
    ) -> Launched:
        variables = {name: str(value) for name, value in environment.items()}
        launched.append(Launched(tmp_path, {"size": 4, **(options or {})}, variables, words or []))
        return launched[-1]

    yield begin
    for one in launched:
        for pid in running_with(one.mark):
            os.kill(pid, signal.SIGKILL)
        one.process.communicate()


@pytest.fixture
def port() -> int:
    """A port that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
