"""Environments and words, without any process."""

from pathlib import Path

import pytest

from mindmlm.runtime import rank_table
from mindmlm.runtime.launch.hang import rank_list
from mindmlm.runtime.launch.log_tail import LINES, error_lines
from mindmlm.runtime.launch.plan import Plan

MSRUN_LEFT = {"MS_ROLE": "MS_SCHED", "RANK_ID": "5", "MS_NODE_ID": "9", "MS_WORKER_NUM": "64"}


def test_environment_on_a_cpu() -> None:
    plan = Plan(Path("/t.json"), rank_table.for_processes(8, 4), (2, 3), True, 9000)
    inherited = {"PATH": "/bin", "MS_NODE_TIMEOUT": "25", "OMP_NUM_THREADS": "3", **MSRUN_LEFT}
    environment = plan.worker_environment(3, inherited)
    assert environment == {
        "PATH": "/bin",
        "PYTHONUNBUFFERED": "1",
        "PYTHONFAULTHANDLER": "1",
        "OMP_NUM_THREADS": "3",
        "MS_NODE_TIMEOUT": "25",
        "MS_CPU_COMM_OP_TIMEOUT": "600",
        "MS_TOPO_TIMEOUT": "600",
        "MS_RETRY_INTERVAL_LOWER": "1",
        "MS_RETRY_INTERVAL_UPPER": "1",
        "MS_ROLE": "MS_WORKER",
        "MS_WORKER_NUM": "8",
        "MS_SCHED_HOST": "127.0.0.1",
        "MS_SCHED_PORT": "9000",
        "MS_NODE_ID": "3",
        "RANK_TABLE_FILE": "/t.json",
        "RANK_SIZE": "8",
        "RANK_ID": "3",
        "DEVICE_ID": "1",
    }
    scheduler = plan.scheduler_environment(inherited)
    assert scheduler["MS_ROLE"] == "MS_SCHED"
    assert not {"RANK_TABLE_FILE", "RANK_ID", "MS_NODE_ID", "DEVICE_ID"} & set(scheduler)
    assert scheduler["MS_NODE_TIMEOUT"] == "25"
    assert plan.worker_environment(2, {})["MS_NODE_TIMEOUT"] == "600"
    assert "MS_NODE_TIMEOUT" not in plan.scheduler_environment({})
    assert int(plan.worker_environment(2, {})["OMP_NUM_THREADS"]) >= 1


def test_environment_on_ascend() -> None:
    cards = {4: "192.168.0.1", 6: "192.168.0.2"}
    plan = Plan(Path("/t.json"), rank_table.for_cards("10.0.0.1", cards), (0, 1), False)
    environment = plan.worker_environment(1, MSRUN_LEFT)
    assert environment == {
        "PYTHONUNBUFFERED": "1",
        "PYTHONFAULTHANDLER": "1",
        "HCCL_CONNECT_TIMEOUT": "600",
        "RANK_TABLE_FILE": "/t.json",
        "RANK_SIZE": "2",
        "RANK_ID": "1",
        "DEVICE_ID": "6",
    }
    assert not plan.starts_scheduler


@pytest.mark.parametrize(
    ("ranks", "words"),
    [
        ([3], "rank 3"),
        ([1, 0], "ranks 0, 1"),
        ([0, 1, 2, 3, 7], "ranks 0 to 3, 7"),
        ([5, 1, 3, 4, 8, 9], "ranks 1, 3 to 5, 8, 9"),
    ],
)
def test_ranks_in_words(ranks: list[int], words: str) -> None:
    assert rank_list(ranks) == words


MINDSPORE_ERROR = """\
[WARNING] DISTRIBUTED(5810,python):2026-11-21 [tcp_comm.cc:485] Connect] Connection 12
Traceback (most recent call last):
  File "worker.py", line 4, in <module>
    init()
RuntimeError: The total number of timed out node is 1.

----------------------------------------------------
- C++ Call Stack: (For framework developers)
----------------------------------------------------
mindspore/ccsrc/cluster/topology/meta_server_node.cc:554 UpdateTopoState

[INFO] DISTRIBUTED(5810,python):2026-11-21 [tcp_client.cc:357] Start] Event base dispatch success!
"""


def test_error_lines_are_those_of_the_error(tmp_path: Path) -> None:
    log = tmp_path / "rank_0.log"
    log.write_text("step 1\nstep 2\n" + MINDSPORE_ERROR)
    assert error_lines(log) == [
        "Traceback (most recent call last):",
        '  File "worker.py", line 4, in <module>',
        "    init()",
        "RuntimeError: The total number of timed out node is 1.",
    ]


def test_error_lines_of_other_logs(tmp_path: Path) -> None:
    log = tmp_path / "rank_0.log"
    assert error_lines(log) == []
    log.write_bytes(b"10%\r20%\rline \xff\n" + b"x" * 300_000 + b"\nlast\n\n")
    assert error_lines(log)[-1] == "last"
    log.write_text("".join(f"{number}\n" for number in range(100)))
    assert error_lines(log) == [str(number) for number in range(100 - LINES, 100)]
    log.write_text("Traceback (most recent call last):\n" + "  deep\n" * 50 + "KeyError: 'x'\n")
    assert error_lines(log)[-1] == "KeyError: 'x'"
    assert len(error_lines(log)) == LINES
