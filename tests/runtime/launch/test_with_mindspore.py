"""The launcher with MindSpore's scheduler and real collectives."""

import os
import re
import signal
import socket
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
SECONDS = 120.0


@pytest.fixture
def cluster(start, tmp_path: Path):
    """Start a job of real ranks; `machine` (0 or 1) starts one half of it."""
    program = [str(Path(__file__).with_name("mindspore_worker.py")), str(tmp_path / "checkpoint")]

    def begin(size=3, machine=None, port=None, steps=100_000, **options):
        options |= {"size": size, "on_cpu": True, "command": program, "new_port": machine is None}
        if machine is not None:
            half = size // 2
            options |= {"servers": 2, "range": [machine * half, (machine + 1) * half]}
        return start(options | ({"port": port} if port else {}), PLAIN_STEPS=steps)

    return begin


def scheduler_pid(job) -> int:
    found = job.processes("MS_ROLE=MS_SCHED")
    assert len(found) == 1
    return next(iter(found))


def test_a_job_that_ends_well(cluster, tmp_path: Path) -> None:
    code, _, err = cluster(steps=5).finish(SECONDS)
    assert code == 0, err
    assert re.search(
        r"ranks 0 to 2 of 3 \(processes on this machine, scheduler 127.0.0.1:\d+\)", err
    )
    assert (tmp_path / "checkpoint" / "5").exists()


def test_a_killed_rank(cluster) -> None:
    job = cluster()
    job.wait_for_step(3, SECONDS)
    os.kill(job.rank_pid(1), signal.SIGKILL)
    code, _, err = job.finish(10)
    assert code == 137
    assert "rank 1: killed by SIGKILL" in err
    assert "killing ranks 0, 2" in err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_stop_is_agreed_on(cluster, tmp_path: Path, number: int, code: int) -> None:
    job = cluster()
    job.wait_for_step(3, SECONDS)
    job.process.send_signal(number)
    returned, _, err = job.finish(60)
    assert returned == code, err
    saved = [path.name.split("_at_") for path in tmp_path.glob("saved_*")]
    assert sorted(name for name, _ in saved) == ["saved_0", "saved_1", "saved_2"]
    assert len({step for _, step in saved}) == 1


def test_the_scheduler_dies(cluster) -> None:
    job = cluster()
    job.wait_for_step(3, SECONDS)
    os.kill(scheduler_pid(job), signal.SIGKILL)
    code, _, err = job.finish(10)
    assert code == 137
    assert "the scheduler: killed by SIGKILL (signal 9)" in err
    assert "killing ranks 0 to 2" in err


def test_a_stopped_rank(cluster) -> None:
    job = cluster()
    job.wait_for_step(3, SECONDS)
    os.kill(job.rank_pid(2), signal.SIGSTOP)
    code, _, err = job.finish(30)
    assert code == 124
    assert "rank 2 stopped (SIGSTOP) for 5 s; waiting: ranks 0, 1" in err


def test_a_port_in_use(cluster, port: int) -> None:
    with socket.create_server(("127.0.0.1", port)):
        code, _, err = cluster(size=4, machine=0, port=port).finish(10)
    assert code == 2
    assert f"MS_SCHED_PORT: MindSpore's scheduler cannot listen at 127.0.0.1:{port}" in err


def test_two_machines(cluster, port: int, tmp_path: Path) -> None:
    jobs = [cluster(size=4, machine=machine, port=port, steps=5) for machine in (1, 0)]
    ends = [job.process.communicate(timeout=SECONDS) for job in jobs]
    assert [job.process.returncode for job in jobs] == [0, 0], ends
    assert (tmp_path / "checkpoint" / "5").exists()
    jobs[0].nothing_is_left()


def test_a_rank_killed_on_the_other_machine(cluster, port: int) -> None:
    jobs = [cluster(size=4, machine=machine, port=port) for machine in (1, 0)]
    jobs[0].wait_for_step(3, SECONDS)
    os.kill(jobs[0].rank_pid(2), signal.SIGKILL)
    (_, second), (_, first) = [job.process.communicate(timeout=10) for job in jobs]
    assert "rank 2: killed by SIGKILL" in second
    assert "on another machine: rank 2: killed by SIGKILL (signal 9)" in first
    assert [job.process.returncode for job in jobs] == [137, 137]
    jobs[0].nothing_is_left()
