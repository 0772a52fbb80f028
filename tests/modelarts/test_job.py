"""Whole jobs: variables as the platform sets them, an object store on loopback."""

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from mindmlm.cli import modelarts
from mindmlm.cli.run import main
from mindmlm.modelarts.patience import Patience
from mindmlm.runtime.launch.process import Ended
from mindmlm.testing.command import SMALL_OPTIONS
from mindmlm.testing.corpus import write_corpus
from mindmlm.testing.run_ranks import run_ranks

from .conftest import SECRET, rank_table, steps_of

SCRIPT = Path(__file__).resolve().parents[2] / "run_mindformer.py"


def words(*more: str) -> list[str]:
    """The start file's arguments as the console puts them together."""
    return [
        "--config=configs/bert/run_bert_tiny_zh.yaml",
        "--dataset=obs://bucket/data",
        "--dataset_id=news.txt",
        "--remote_save_url=obs://bucket/job-1",
        "--save_checkpoint_steps=3",
        "--callbacks.CheckpointMonitor.keep_checkpoint_max=2",
        *(f"--{option}" for option in SMALL_OPTIONS),
        *more,
    ]


@pytest.fixture
def folder(store, cache, tmp_path, monkeypatch) -> Path:
    """Where the platform starts the script; the data are in the store."""
    text = write_corpus(tmp_path / "news.txt", documents=60)
    store.put("data/news.txt", text.read_bytes())
    store.put("data/not-needed.txt", b"no\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def start(*more: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), *words(*more)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def end(process: subprocess.Popen) -> tuple[int, str]:
    _, err = process.communicate(timeout=400)
    assert SECRET not in err
    return process.returncode, err


def uploaded_steps(store) -> set[str]:
    names = [name.split("/") for name in store.names("job-1/checkpoint/step_")]
    return {parts[2] for parts in names if parts[-1] == "manifest.json"}


def wait_for(what, process: subprocess.Popen) -> None:
    finish = time.monotonic() + 300
    while not what():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < finish
        time.sleep(0.05)


@pytest.mark.slow
def test_a_job_from_the_store_and_back(store, cache, folder):
    code, err = end(start("--max_steps=6"))
    assert code == 0, err
    assert "job-1" in err
    names = {name.removeprefix("job-1/") for name in store.names("job-1/")}
    expected = {"config.yaml", "metrics.jsonl", "vocab.txt", "checkpoint/latest"}
    assert names >= {*expected, "log/rank_0.log", "log/rank_0.err", "log/rank_0.out"}
    assert not any("dataset_cache" in name for name in names)
    assert uploaded_steps(store) == {"step_00000003", "step_00000006"}
    assert {path.name for path in (cache / "dataset").rglob("*.txt")} == {"news.txt"}
    assert not list(folder.glob("output"))
    # The platform starts the same command on an empty machine.
    shutil.rmtree(cache)
    code, err = end(start("--max_steps=9"))
    assert code == 0, err
    assert "going on from step_00000006" in err
    assert uploaded_steps(store) == {"step_00000006", "step_00000009"}
    assert store.get("job-1/checkpoint/latest") == b"step_00000009\n"
    assert steps_of(store.get("job-1/metrics.jsonl")) == list(range(1, 10))
    log = store.get("job-1/log/rank_0.log").decode()
    assert "resumed at step 6" in log
    assert log.count("training text: ") == 2


def child_of(process: subprocess.Popen) -> int:
    """The process that trains."""
    tasks = Path(f"/proc/{process.pid}/task")
    children = [
        child for task in tasks.iterdir() for child in (task / "children").read_text().split()
    ]
    (child,) = children
    return int(child)


@pytest.mark.slow
def test_a_job_that_is_stopped_or_killed_is_uploaded_and_goes_on(store, cache, folder):
    long = "--max_steps=100000"
    stopped = start(long)
    wait_for(lambda: uploaded_steps(store), stopped)
    stopped.send_signal(signal.SIGTERM)
    code, err = end(stopped)
    assert code == 143, err
    first = max(steps_of(store.get("job-1/metrics.jsonl")))
    assert f"step_{first:08d}" in uploaded_steps(store)
    assert store.get("job-1/checkpoint/latest").decode() == f"step_{first:08d}\n"
    shutil.rmtree(cache)
    killed = start(long)
    wait_for(lambda: max(uploaded_steps(store)) > f"step_{first:08d}", killed)
    os.kill(child_of(killed), signal.SIGKILL)
    code, err = end(killed)
    assert code == 137, err
    assert "SIGKILL" in err
    assert "want of memory" in err
    assert max(steps_of(store.get("job-1/metrics.jsonl"))) > first
    last = int(store.get("job-1/checkpoint/latest").decode().strip().removeprefix("step_"))
    shutil.rmtree(cache)
    code, err = end(start(f"--max_steps={last + 2}"))
    assert code == 0, err
    assert steps_of(store.get("job-1/metrics.jsonl")) == list(range(1, last + 3))


@pytest.mark.slow
def test_a_rehearsal_with_two_ranks(store, cache, folder):
    """One process a card, its rank from the environment; a restart on an empty machine."""
    table = rank_table(folder / "jobstart_hccl.json", 2)
    environment = {"RANK_TABLE_FILE": str(table), **os.environ}
    parallel = [
        "--use_parallel=True",
        "--data_parallel=2",
        "--parallel_config.optimizer_shard=True",
    ]
    run_ranks(SCRIPT, 2, words(*parallel, "--max_steps=6"), 400, environment)
    assert uploaded_steps(store) == {"step_00000003", "step_00000006"}
    names = store.names("job-1/")
    for rank in (0, 1):
        assert f"job-1/log/rank_{rank}.log" in names
        assert any(name.endswith(f"_rank_{rank}.json") for name in names)
    errors = [store.get(f"job-1/log/rank_{rank}.err").decode() for rank in (0, 1)]
    assert "step 6/6" in errors[0]
    shutil.rmtree(cache)
    run_ranks(SCRIPT, 2, words(*parallel, "--max_steps=8"), 400, environment)
    assert steps_of(store.get("job-1/metrics.jsonl")) == list(range(1, 9))
    assert "step_00000008" in uploaded_steps(store)


def run_here(*more: str) -> tuple[int, str]:
    process = start(*more)
    return end(process)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--dataset_id=none.txt"], "obs://bucket/data: there are no such files"),
        (["--batch_size=0"], "runner_config.batch_size"),
        (["--remote_save_url=obs://nobody/job"], "obs://nobody/job: cannot be"),
    ],
)
def test_mistakes_show_before_anything_is_trained(store, folder, more, message):
    code, err = run_here("--max_steps=2", *more)
    assert code in (1, 2)
    assert message in err
    assert "Traceback" not in err
    assert not [name for name in store.names("job-1/") if "checkpoint" in name]


def test_machines_that_share_no_disk_are_refused(store, cache, folder, monkeypatch):
    table = rank_table(folder / "table.json", 2, servers=2)
    monkeypatch.setenv("RANK_TABLE_FILE", str(table))
    monkeypatch.setenv("RANK_ID", "0")
    code, err = run_here("--use_parallel=True", "--data_parallel=2")
    assert code == 2
    assert "2 machines of this job write one checkpoint together" in err


@pytest.mark.slow
def test_the_launcher_starts_ranks_that_bring_and_take_away(store, cache, folder):
    """A platform that starts one command a machine."""
    table = rank_table(folder / "table.json", 2)
    output = cache / "run"
    command = ["bash", str(SCRIPT.parent / "scripts" / "run_distribute.sh"), str(table)]
    command += [words()[0].partition("=")[2], "[0,2]", "train", f"--output_dir={output}"]
    command += [*words()[1:], "--data_parallel=2", "--max_steps=4"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stderr
    assert "step 4/4" in done.stderr
    assert uploaded_steps(store) == {"step_00000003", "step_00000004"}
    names = store.names("job-1/log/")
    assert any(name.endswith("/rank_1.log") and "launch" in name for name in names)


def ended_with(monkeypatch, ended: Ended, broken: Path | None) -> None:
    """A run that writes a line and ends so; afterwards the remote folder may be broken."""

    def run_child(command, log_dir, rank, stop, environ):
        log_dir.mkdir(parents=True, exist_ok=True)
        (log_dir / f"rank_{rank}.err").write_text("last words")
        if broken is not None:
            shutil.rmtree(broken)
            broken.write_text("a file in its place")
        return ended

    monkeypatch.setattr(modelarts, "run_child", run_child)
    monkeypatch.setattr(Patience, "__call__", lambda self, what, action: action())


@pytest.mark.parametrize(
    ("ended", "breaks", "code"),
    [
        (Ended(0), False, 0),
        (Ended(0), True, 1),
        (Ended(137, 9), False, 137),
        (Ended(3), True, 3),
    ],
)
def test_the_exit_code(folder, cache, monkeypatch, capsys, ended, breaks, code):
    remote = folder / "remote"
    ended_with(monkeypatch, ended, remote if breaks else None)
    words = ["--config=configs/bert/run_bert_tiny_zh.yaml", f"--train_url={remote}"]
    text = folder / "news.txt"
    assert main([*words, f"--dataset_dir={text}"]) == code
    err = capsys.readouterr().err
    if breaks:
        assert "not everything could be uploaded" in err
        assert str(cache / "output") in err
    else:
        assert (remote / "log" / "rank_0.err").read_text() == "last words"


def test_a_disk_without_any_room_is_an_error_of_one_line(folder, small_disk, monkeypatch, capsys):
    monkeypatch.setenv("MINDMLM_CACHE_ROOT", str(small_disk))
    with suppress(OSError), (small_disk / "full").open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)
    ended_with(monkeypatch, Ended(0), None)
    words = ["--config=configs/bert/run_bert_tiny_zh.yaml", f"--train_url={folder / 'remote'}"]
    assert main([*words, f"--dataset_dir={folder / 'news.txt'}"]) == 1
    err = capsys.readouterr().err
    assert "No space left on device" in err
    assert "MINDMLM_CACHE_ROOT" in err


@pytest.mark.parametrize("flag", ["dataset", "data_url", "train_url", "vocab_file"])
def test_keys_in_an_address_are_refused_and_not_shown(capsys, flag):
    words = ["--config=configs/bert/run_bert_tiny_zh.yaml", f"--{flag}=obs://me:{SECRET}@bucket/a"]
    assert main(words) == 2
    err = capsys.readouterr().err
    assert "keys do not belong in an address" in err
    assert SECRET not in err
