"""How a job ends, with ranks that need no MindSpore: good ends, failures, hangs, stops."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ENDLESS = {"PLAIN_STEPS": 100_000}


def test_all_ranks_end_well(start, tmp_path: Path) -> None:
    code, out, err = start({"servers": 2}).finish()
    assert code == 0
    assert [line for line in err.splitlines() if line.startswith("step")] == [
        f"step {step}" for step in range(1, 6)
    ]
    (folder,) = (tmp_path / "log").iterdir()
    assert f"ranks 0 to 3 of 4 (cards of 127.0.0.1); logs: {folder}" in err
    seen = [json.loads((folder / f"rank_{rank}.out").read_text()) for rank in range(4)]
    assert json.loads(out) == seen[0]
    for rank, values in enumerate(seen):
        assert values == {
            "argv": [],
            "RANK_ID": str(rank),
            "RANK_SIZE": "4",
            "DEVICE_ID": str(rank % 2),
            "RANK_TABLE_FILE": str(tmp_path / "table.json"),
            "MS_ROLE": None,
            "MINDMLM_STOP_FILE": str(folder / "stop"),
        }
    assert (folder / "launcher.log").read_text() in err
    assert not (folder / "stop").exists()


def test_a_rank_that_raises_ends_the_job(start) -> None:
    job = start(PLAIN_FAULT="2:3:raise", PLAIN_CHILD=1, **ENDLESS)
    code, _, err = job.finish()
    assert code == 1
    line = re.search(r"^rank 2: exit code 1 after [\d.]+ s; log: .*/rank_2\.log$", err, re.M)
    assert line is not None, err
    assert "\n    ValueError: rank 2 breaks on purpose at step 3\n" in err
    assert "killing ranks 0, 1, 3" in err
    assert "Traceback" in job.log("rank_2.log")
    assert "rank 2: exit code 1" in job.log("launcher.log")


def test_the_worst_exit_code_is_returned(start) -> None:
    code, _, err = start(PLAIN_FAULT="1:2:7,3:2:5", **ENDLESS).finish()
    assert code == 7
    assert "rank 1: exit code 7" in err
    assert "rank 3: exit code 5" in err


def test_a_killed_rank_is_named_and_its_children_go_too(start) -> None:
    job = start(PLAIN_CHILD=1, **ENDLESS)
    job.wait_for_step(2)
    os.kill(job.rank_pid(1), signal.SIGKILL)
    code, _, err = job.finish()
    assert code == 137
    assert "rank 1: killed by SIGKILL (signal 9)" in err
    assert "killing ranks 0, 2, 3" in err


def test_a_program_that_cannot_start(start) -> None:
    code, _, err = start({"command": ["/no/such/program.py"]}).finish()
    assert code == 2
    assert "No such file or directory" in err


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)]
)
def test_a_stop_reaches_every_rank(start, tmp_path: Path, number: int, code: int) -> None:
    job = start(PLAIN_CHILD=1, **ENDLESS)
    job.wait_for_step(3)
    job.process.send_signal(number)
    returned, _, err = job.finish()
    assert returned == code
    name = signal.Signals(number).name
    assert f"{name}: asking ranks 0 to 3 to save and stop" in err
    assert "killing" not in err
    assert {path.name for path in tmp_path.glob("saved_*")} == {f"saved_{r}" for r in range(4)}
    # One rank that has the signal is enough: the others learn of it where they meet.
    assert any("stopping after this step" in job.log(f"rank_{rank}.log") for rank in range(4))
    assert [path.name for path in (tmp_path / "log").glob("*/stop")] == ["stop"]


def test_a_second_signal_kills_at_once(start, tmp_path: Path) -> None:
    job = start(PLAIN_FAULT="1:3:sleep", PLAIN_CHILD=1, **ENDLESS)
    job.wait_for_step(2)
    job.process.send_signal(signal.SIGTERM)
    job.wait_for(lambda: "asking" in job.log("launcher.log"))
    job.process.send_signal(signal.SIGINT)
    code, _, err = job.finish()
    assert code == 130
    assert "second signal: killing all ranks without saving" in err
    assert not list(tmp_path.glob("saved_*"))


def test_ranks_that_do_not_stop_in_time_are_named(start) -> None:
    job = start({"limits": {"stop": 0.5}}, PLAIN_FAULT="1:3:sleep", **ENDLESS)
    job.wait_for_step(2)
    job.process.send_signal(signal.SIGTERM)
    code, _, err = job.finish()
    assert code == 124
    assert "ranks 0 to 3 did not stop within 0.5 s and will be killed" in err


def test_nothing_survives_a_launcher_that_is_killed(start) -> None:
    job = start(PLAIN_CHILD=1, **ENDLESS)
    job.wait_for_step(2)
    job.process.kill()
    job.process.communicate()
    job.nothing_is_left()


def test_a_stopped_rank_is_named(start) -> None:
    job = start({"limits": {"stopped": 0.5}}, PLAIN_CHILD=1, **ENDLESS)
    job.wait_for_step(2)
    os.kill(job.rank_pid(3), signal.SIGSTOP)
    code, _, err = job.finish()
    assert code == 124
    assert "rank 3 stopped (SIGSTOP) for 0.5 s; waiting: ranks 0 to 2" in err


def test_a_hang_names_who_waits_and_for_whom(start) -> None:
    job = start({"limits": {"hang": 1.0}}, PLAIN_FAULT="1:3:sleep", **ENDLESS)
    code, _, err = job.finish()
    assert code == 124
    assert (
        "no rank has gone on for 1 s; waiting: ranks 0, 2, 3 (step 3, together); rank 1 has not "
        "come so far (step 3, data)"
    ) in err
    assert "rank 1: does not go on" in err
    assert re.search(r'plain_worker\.py", line \d+ in fault', err)


def test_slow_steps_are_no_hang(start) -> None:
    code, _, _ = start({"limits": {"hang": 0.6}}, PLAIN_STEPS=4, PLAIN_SECONDS=0.35).finish()
    assert code == 0


def test_an_unannounced_sigterm_is_a_broken_cluster(start, tmp_path: Path) -> None:
    job = start(**ENDLESS)
    job.wait_for_step(2)
    os.kill(job.rank_pid(2), signal.SIGTERM)
    code, _, err = job.finish()
    assert code == 69
    assert "rank 2: exit code 69 (MindSpore's cluster broke" in err
    assert "SIGTERM that no launcher has announced" in err
    assert not list(tmp_path.glob("saved_*"))


def test_a_restart_goes_on_from_the_checkpoint(start, tmp_path: Path) -> None:
    job = start({"max_restarts": 2}, PLAIN_FAULT="1:3:kill", PLAIN_STEPS=6)
    code, _, err = job.finish()
    assert code == 0
    assert "rank 1: killed by SIGKILL" in err
    assert "restart 1 of 2" in err
    assert "restart 2 of 2" not in err
    (again,) = (tmp_path / "log").glob("*/restart_1")
    assert json.loads((again / "rank_3.out").read_text())["argv"] == ["--load_checkpoint", "latest"]
    assert (again / "rank_0.log").read_text().splitlines() == [
        "step 3",
        "step 4",
        "step 5",
        "step 6",
    ]
    assert (again.parent / "rank_0.log").read_text().splitlines() == ["step 1", "step 2"]


@pytest.mark.parametrize(("exit_code", "attempts"), [(5, 3), (2, 1), (143, 1)])
def test_how_often_it_is_tried(start, tmp_path: Path, exit_code: int, attempts: int) -> None:
    """A user's mistake would only come again, and a rank that was stopped wants to stay so."""
    program = f"import sys; sys.exit({exit_code})"
    code, _, _ = start({"max_restarts": 2, "command": ["-c", program]}).finish()
    assert code == exit_code
    assert len(list((tmp_path / "log").rglob("rank_0.log"))) == attempts


def test_old_logs_stay(start, tmp_path: Path) -> None:
    for _ in range(3):
        assert start({"command": ["-c", "print('hello')"]}).finish()[0] == 0
    folders = list((tmp_path / "log").iterdir())
    assert len(folders) == 3
    assert all((folder / "rank_3.out").read_text() == "hello\n" for folder in folders)


def test_a_screen_that_is_closed_does_not_end_the_job(start, tmp_path: Path) -> None:
    job = start(PLAIN_STEPS=20)
    job.wait_for_step(2)
    job.process.stdout.close()
    job.process.stderr.close()
    assert job.process.wait(30) == 0
    job.nothing_is_left()
    assert len(list(tmp_path.glob("saved_*"))) == 4


def test_progress_bars_reach_the_screen(start) -> None:
    program = r"import sys; sys.stderr.write('10%\r20%\rdone'); print('result')"
    code, out, err = start({"size": 1, "command": ["-c", program]}).finish()
    assert (code, out) == (0, "result\n")
    assert "10%\n20%\ndone\n" in err.replace("\r", "\n")


def test_nohup_keeps_the_launcher_alive(start, tmp_path: Path) -> None:
    words = [sys.executable, str(Path(__file__).with_name("drive.py"))]
    plain = [str(Path(__file__).with_name("plain_worker.py")), str(tmp_path / "checkpoint")]
    options = json.dumps({"folder": str(tmp_path), "size": 2, "command": plain})
    job = start(words=["nohup", *words, options], PLAIN_STEPS=30)
    job.wait_for_step(2)
    job.process.send_signal(signal.SIGHUP)
    assert job.finish()[0] == 0


def test_the_launcher_does_not_import_mindspore() -> None:
    program = "import sys; import mindmlm.cli.launch; sys.exit('mindspore' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
