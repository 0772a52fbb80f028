"""Stopping a real process: a checkpoint at the next step, and nothing lost."""

import signal
import time

import pytest

from mindmlm.runtime.run_folder import RunFolder

STEPS = 150


def wait_until(condition, process):
    deadline = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.005)


def train_lines(folder):
    path = folder / "metrics.jsonl"
    return path.read_text().count('"loss"') if path.exists() else 0


def long_run(command, folder, *words):
    return command.words(
        folder,
        f"--max_steps={STEPS}",
        "--save_checkpoint_steps=0",
        "--callbacks.EvalMonitor.eval_steps=0",
        *words,
    )


@pytest.fixture
def running(command):
    """Start a run; it is killed at the end of the test if it is still there."""
    processes = []

    def start(words):
        processes.append(command.start(*words))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def stop_in_the_middle(command, process, folder, number):
    """Send a signal between two metrics lines; return the step after which the run ended."""
    wait_until(lambda: train_lines(folder) >= 3, process)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number, err
    assert out == ""
    assert "stopping after this step and saving a checkpoint" in err
    assert "Traceback" not in err
    last = train_lines(folder)
    assert 3 <= last < STEPS
    assert (folder / "checkpoint" / "latest").read_text() == f"step_{last:08d}\n"


def test_sigterm_saves_and_the_run_goes_on_as_if_nothing_had_been(
    command, running, metrics, tensor_hashes, tmp_path
):
    folder, straight = tmp_path / "stopped", tmp_path / "straight"
    stop_in_the_middle(command, running(long_run(command, folder)), folder, signal.SIGTERM)
    resumed = command.here(*long_run(command, folder, "--load_checkpoint=latest"))
    assert resumed.code == 0, resumed.stderr
    assert command.here(*long_run(command, straight)).code == 0
    assert metrics(folder) == metrics(straight)
    assert tensor_hashes(folder) == tensor_hashes(straight)


def test_ctrl_c_saves_too(command, running, tmp_path):
    process = running(long_run(command, tmp_path))
    stop_in_the_middle(command, process, tmp_path, signal.SIGINT)


def test_the_second_signal_ends_at_once(command, running, tmp_path):
    process = running(long_run(command, tmp_path))
    # The first step is compiled for seconds now: it cannot end between the two signals.
    for line in process.stderr:
        if "held-out loss" in line:
            break
    process.send_signal(signal.SIGTERM)
    for line in process.stderr:
        if "stopping after this step" in line:
            break
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 143
    assert not RunFolder(tmp_path).has_checkpoints()
    assert train_lines(tmp_path) == 0


def test_a_second_process_is_kept_out_of_the_folder(command, running, tmp_path):
    process = running(long_run(command, tmp_path))
    wait_until((tmp_path / "config.yaml").exists, process)
    second = command.here(*long_run(command, tmp_path))
    assert process.poll() is None
    assert second.code == 2
    assert "another process is writing to" in second.stderr
