"""The helper behind all tests of several processes; programs without MindSpore keep it quick."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mindmlm.testing.run_ranks import RanksError, run_ranks, started_ranks

PROGRAMS = Path(__file__).parent / "programs"

FAIL = """
import os, sys, time
if os.environ["RANK_ID"] == "1":
    print("the last words")
    sys.exit("rank 1 cannot go on")
time.sleep(60)
"""
SLEEP = "import os, sys, time; print(os.getpid(), *sys.argv[1:], flush=True); time.sleep(60)"
SHOW = """
import json, os, sys
names = ("RANK_ID", "RANK_SIZE", "MS_WORKER_NUM", "OMP_NUM_THREADS", "EXTRA")
print(json.dumps([sys.argv[1:], [os.environ.get(name) for name in names]]))
"""
PARENT = """
import sys, time
from mindmlm.testing.run_ranks import started_ranks
with started_ranks(sys.argv[1], 2) as ranks:
    while not all(ranks.stdout(rank) for rank in range(2)):
        time.sleep(0.05)
    print(*(ranks.stdout(rank).strip() for rank in range(2)), ranks.scheduler.pid, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def program(tmp_path: Path):
    def write(text: str) -> Path:
        path = tmp_path / "program.py"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def is_running(pid: int) -> bool:
    """Whether a process of that number runs; one that is dead and not collected does not."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return False


def gone(pid: int, seconds: float = 10.0) -> bool:
    end = time.monotonic() + seconds
    while is_running(pid) and time.monotonic() < end:
        time.sleep(0.05)
    return not is_running(pid)


def test_ranks_talk_to_each_other() -> None:
    outputs = run_ranks(PROGRAMS / "all_reduce.py", 2, timeout=120)
    seen = [json.loads(output.splitlines()[-1]) for output in outputs]
    # The number in RANK_ID is the number in MindSpore's world.
    assert seen == [[rank, rank, 2, [4.5, 30.0]] for rank in range(2)]


@pytest.mark.parametrize("world_size", [1, 3])
def test_arguments_and_variables_reach_every_rank(program, world_size: int, monkeypatch) -> None:
    monkeypatch.setenv("MS_WORKER_NUM", "64")
    outputs = run_ranks(program(SHOW), world_size, ["--a", Path("b")], env={"EXTRA": "yes"})
    size = str(world_size) if world_size > 1 else None
    threads = str(max(1, (os.cpu_count() or 1) // world_size))
    assert [json.loads(output) for output in outputs] == [
        [["--a", "b"], [str(rank), size, size, threads, "yes"]] for rank in range(world_size)
    ]


def test_a_module_can_be_run() -> None:
    assert run_ranks("platform", 1)[0].strip()


def test_a_failed_rank_ends_all_and_is_shown(program) -> None:
    begin = time.monotonic()
    with pytest.raises(RanksError) as caught:
        run_ranks(program(FAIL), 3, timeout=50)
    assert time.monotonic() - begin < 30
    message = str(caught.value)
    assert "exit codes [None, 1, None]" in message
    assert "--- rank_1 stdout ---\nthe last words" in message
    assert "--- rank_1 stderr ---\nrank 1 cannot go on" in message


def test_time_is_limited_and_nothing_stays_behind(program) -> None:
    with started_ranks(program(SLEEP), 2, ["word"]) as ranks:
        with pytest.raises(RanksError, match=r"not finished after 2 s"):
            ranks.wait(2)
        assert ranks.codes() == [None, None]
        pids = [int(ranks.stdout(rank).split()[0]) for rank in range(2)]
        folder = ranks.folder
    assert all(gone(pid) for pid in [*pids, ranks.scheduler.pid])
    assert ranks.codes() == [-signal.SIGKILL] * 2
    assert not folder.exists()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux can do this")
def test_ranks_die_with_the_process_that_started_them(program, tmp_path: Path) -> None:
    parent = tmp_path / "parent.py"
    parent.write_text(PARENT, encoding="utf-8")
    words = [sys.executable, str(parent), str(program(SLEEP))]
    # Killed, the parent cannot delete the folder of its ranks' output.
    env = os.environ | {"TMPDIR": str(tmp_path)}
    with subprocess.Popen(words, stdout=subprocess.PIPE, encoding="utf-8", env=env) as process:
        pids = [int(word) for word in process.stdout.readline().split()]
        assert len(pids) == 3
        assert all(is_running(pid) for pid in pids)
        process.kill()
    try:
        assert all(gone(pid) for pid in pids)
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
