"""Several launchers of one job: what one of them learns of the others."""

import os
import re
import signal
import socket
import time
from pathlib import Path

import pytest

from mindmlm.runtime import rank_table
from mindmlm.runtime.launch import link
from mindmlm.runtime.launch.plan import Plan

ENDLESS = {"PLAIN_STEPS": 100_000}


@pytest.fixture
def machines(start, port: int):
    """Start the launchers of two machines with two ranks each; rank 0 is on the first."""

    def begin(options=None, order=(0, 1), **environment):
        made = {
            index: start(
                {"port": port, "range": [2 * index, 2 * index + 2], **(options or {})},
                **environment,
            )
            for index in order
        }
        return [made[index] for index in sorted(made)]

    return begin


def connected(jobs) -> None:
    jobs[0].wait_for(lambda: "all machines are connected" in jobs[0].log("*ranks_0_1/launcher.log"))


def finish(jobs) -> tuple[list[int], list[str]]:
    """Exit codes, and what each said."""
    said = [job.process.communicate(timeout=30)[1] for job in jobs]
    jobs[0].nothing_is_left()
    return [job.process.returncode for job in jobs], said


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_job_that_ends_well(machines, tmp_path: Path, order: tuple[int, ...]) -> None:
    codes, said = finish(machines(order=order))
    assert codes == [0, 0], said
    assert len(list(tmp_path.glob("saved_*"))) == 4
    assert "step 5" in said[0]
    assert "step 5" not in said[1]


@pytest.mark.parametrize("rank", range(4))
def test_every_machine_names_the_rank_that_died(machines, rank: int) -> None:
    jobs = machines(**ENDLESS)
    jobs[0].wait_for_step(3)
    os.kill(jobs[0].rank_pid(rank), signal.SIGKILL)
    codes, said = finish(jobs)
    assert codes == [137, 137]
    here, there = said[rank // 2], said[1 - rank // 2]
    assert re.search(rf"^rank {rank}: killed by SIGKILL \(signal 9\)", here, re.M)
    assert f"on another machine: rank {rank}: killed by SIGKILL (signal 9)" in there


@pytest.mark.parametrize("index", [0, 1])
def test_a_launcher_that_is_killed(machines, index: int) -> None:
    jobs = machines(PLAIN_CHILD=1, **ENDLESS)
    connected(jobs)
    jobs[index].process.kill()
    codes, said = finish(jobs)
    assert codes[1 - index] == 69
    who = "rank 0" if index == 0 else "ranks 2, 3"
    assert f"on another machine: the launcher of {who} has gone" in said[1 - index]


@pytest.mark.parametrize("what", ["launcher", "rank"])
def test_the_third_machine_learns_of_the_second(start, port: int, what: str) -> None:
    ranges = ([0, 2], [2, 4], [4, 6])
    jobs = [start({"size": 6, "port": port, "range": one}, **ENDLESS) for one in ranges]
    connected(jobs)
    if what == "launcher":
        jobs[1].process.kill()
    else:
        os.kill(jobs[1].wait_for(lambda: jobs[1].rank_pid_or_none(3)), signal.SIGKILL)
    codes, said = finish(jobs)
    assert [codes[0], codes[2]] == ([69, 69] if what == "launcher" else [137, 137])
    cause = "the launcher of ranks 2, 3 has gone" if what == "launcher" else "rank 3: killed by"
    assert f"on another machine: {cause}" in said[0]
    assert f"on another machine: {cause}" in said[2]


def test_a_stop_on_one_machine_stops_all_in_order(machines, tmp_path: Path) -> None:
    jobs = machines(**ENDLESS)
    jobs[0].wait_for_step(2)
    jobs[1].process.send_signal(signal.SIGTERM)
    codes, said = finish(jobs)
    assert codes == [143, 143], said
    assert len(list(tmp_path.glob("saved_*"))) == 4
    assert "another machine" not in "".join(said)


def test_a_forced_end_on_one_machine_ends_all(machines) -> None:
    jobs = machines(PLAIN_FAULT="1:3:sleep", **ENDLESS)
    jobs[0].wait_for_step(2)
    jobs[1].process.send_signal(signal.SIGTERM)
    jobs[1].wait_for(lambda: "asking" in jobs[1].log("*ranks_2_3/launcher.log"))
    jobs[1].process.send_signal(signal.SIGTERM)
    codes, said = finish(jobs)
    assert codes == [143, 143]
    assert "on another machine: second signal: killing all ranks" in said[0]


def test_machines_restart_together(machines, tmp_path: Path) -> None:
    codes, said = finish(machines({"max_restarts": 1}, PLAIN_FAULT="3:4:kill", PLAIN_STEPS=8))
    assert codes == [0, 0], said
    assert len(list((tmp_path / "log").glob("*/restart_1"))) == 2
    assert "on another machine: rank 3: killed" in said[0]


def test_a_machine_that_does_not_restart_ends_the_others(start, port: int) -> None:
    jobs = [
        start(
            {"port": port, "range": [2 * index, 2 * index + 2], "max_restarts": 3 * (1 - index)},
            PLAIN_FAULT="3:3:kill",
            **ENDLESS,
        )
        for index in (0, 1)
    ]
    codes, said = finish(jobs)
    assert codes == [137, 137]
    assert "restart 1 of 3" in said[0]
    assert "restart 2 of 3" not in said[0]
    assert "the launcher of ranks 2, 3 ended with exit code 137" in said[0]


def test_another_rank_table_is_refused(start, port: int) -> None:
    jobs = [
        start({"port": port, "range": [2 * index, 2 * index + 2], "servers": index + 1}, **ENDLESS)
        for index in (0, 1)
    ]
    second = jobs[1].process.communicate(timeout=30)[1]
    assert jobs[1].process.returncode == 2
    assert "refuses this machine: its rank table is another one" in second
    jobs[0].process.kill()
    finish(jobs)


def test_ranks_that_are_started_twice_are_refused(start, port: int) -> None:
    jobs = [start({"port": port, "range": both}, **ENDLESS) for both in ([0, 2], [1, 4])]
    second = jobs[1].process.communicate(timeout=30)[1]
    assert jobs[1].process.returncode == 2
    assert "its ranks are started twice" in second
    jobs[0].process.kill()
    finish(jobs)


@pytest.mark.parametrize(
    "data", [b"GET / HTTP/1.1\r\n\r\n", b"[1]\n", b"{}\n", b"\xff" * 200_000, b'{"table": 1}\n']
)
def test_strangers_change_nothing(machines, port: int, data: bytes) -> None:
    jobs = machines(PLAIN_STEPS=40)
    jobs[0].wait_for_step(2)
    with socket.create_connection(("127.0.0.1", port + link.PORT_OFFSET)) as stranger:
        stranger.settimeout(5)
        stranger.sendall(data)
        time.sleep(0.2)
    codes, said = finish(jobs)
    assert codes == [0, 0], said


def test_a_port_that_is_taken_is_no_reason_to_fail(machines, port: int) -> None:
    with socket.create_server(("127.0.0.1", port + link.PORT_OFFSET)):
        codes, said = finish(machines())
    assert codes == [0, 0], said
    assert f"cannot listen at 127.0.0.1:{port + link.PORT_OFFSET}" in said[0]


def test_machines_that_do_not_come_are_named(port: int, monkeypatch) -> None:
    monkeypatch.setattr(link, "_PATIENCE_SECONDS", 0.0)
    said: list[str] = []
    table = rank_table.for_processes(6, 3)
    hub = link.make_link(Plan(Path("t.json"), table, (0, 1), True, port), said.append)
    member = link.make_link(Plan(Path("t.json"), table, (4, 5), True, port), said.append)
    hub.poll()
    assert said == ["waiting for the launchers of ranks 2 to 5"]
    member.poll()
    while len(said) < 3:
        hub.poll()
    assert said[-1] == "waiting for the launchers of ranks 2, 3"
    hub.end(0, orderly=True)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and not member._over:
        assert member.failure(0) is None
    member.end(0, orderly=True)


def test_a_first_machine_that_does_not_come_is_named(port: int, monkeypatch) -> None:
    monkeypatch.setattr(link, "_PATIENCE_SECONDS", 0.0)
    said: list[str] = []
    plan = Plan(Path("t.json"), rank_table.for_processes(6, 3), (4, 5), True, port)
    member = link.make_link(plan, said.append)
    assert member.failure(0) is None
    assert said[0].startswith(f"the launcher of rank 0 does not answer at 127.0.0.1:{port + 100}:")
