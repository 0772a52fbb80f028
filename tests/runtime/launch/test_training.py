"""Training through the scripts: the documented commands, and jobs that are disturbed."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mindmlm.runtime import rank_table
from mindmlm.testing.command import SMALL_OPTIONS
from mindmlm.testing.corpus import write_corpus

pytestmark = pytest.mark.slow
SECONDS = 500
SMALL = [
    *(
        f"--{option}"
        for option in SMALL_OPTIONS
        if "layers" not in option and "batch" not in option
    ),
    "--model.model_config.num_hidden_layers=2",
    "--processor.tokenizer.train_vocab_size=200",
]
TWO = [
    *SMALL,
    "--parallel_config.model_parallel=1",
    "--parallel_config.pipeline_stage=1",
    "--save_checkpoint_steps=4",
    "--callbacks.EvalMonitor.eval_steps=0",
]


def losses(folder: Path) -> list[float]:
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["loss"] for line in lines if '"loss"' in line]


def equal_runs(first: Path, second: Path) -> None:
    """Same losses, and the same bytes of weights and optimizer in the last checkpoint."""
    assert losses(first) == losses(second)
    newest = [(path / "checkpoint" / "latest").read_text().strip() for path in (first, second)]
    assert newest[0] == newest[1]
    folders = [path / "checkpoint" / newest[0] for path in (first, second)]
    names = [sorted(file.name for file in folder.glob("*.safetensors")) for folder in folders]
    assert names[0] == names[1]
    for name in names[0]:
        assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes()


@pytest.fixture(scope="module")
def clone(project_root: Path, tmp_path_factory) -> Path:
    """A folder that looks like a clone, with a text of the user's."""
    folder = tmp_path_factory.mktemp("clone")
    for name in ("configs", "scripts", "tools", "run_mindformer.py"):
        (folder / name).symlink_to(project_root / name)
    write_corpus(folder / "news.txt", documents=60)
    program = folder / "bin" / "python"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    program.chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def one_process(clone: Path) -> list[float]:
    """The losses of the same rows in one process."""
    config = "configs/bert/run_bert_tiny_zh_parallel.yaml"
    words = ["--use_parallel=False", "--batch_size=8", "--dataset_dir=news.txt", "--max_steps=4"]
    words += ["--output_dir=output/one", *SMALL]
    done = subprocess.run(
        [sys.executable, "run_mindformer.py", "--config", config, *words],
        cwd=clone,
        capture_output=True,
        encoding="utf-8",
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = losses(clone / "output" / "one")
    assert len(found) == 4
    return found


def documented(project_root: Path) -> list[str]:
    """The blocks of commands of the document, with fewer steps of a smaller model."""
    text = (project_root / "docs" / "distributed.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```bash\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [
        block.replace("--max_steps 20", " ".join(["--max_steps 4", *SMALL])) for block in blocks
    ]


@pytest.mark.parametrize(
    ("block", "output", "launches"),
    [(0, "rehearsal", 1), (1, "machines", 4), (2, "under_msrun", 0)],
    ids=["one call", "four machines", "msrun"],
)
def test_documented_commands_train_to_the_losses_of_one_process(
    clone: Path, one_process: list[float], project_root: Path, block, output, launches
) -> None:
    blocks = documented(project_root)
    assert len(blocks) == 3
    (clone / "table.json").write_text(rank_table.for_processes(8, 4).to_json())
    path = os.pathsep.join([str(clone / "bin"), str(Path(sys.executable).parent)])
    done = subprocess.run(
        ["bash", "-c", blocks[block]],
        cwd=clone,
        env={**os.environ, "PATH": f"{path}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-5000:]
    found = losses(clone / "output" / output)
    assert found == pytest.approx(one_process, rel=1e-5)
    launched = list((clone / "output" / output / "log").glob("launch/*"))
    assert len(launched) == launches


def two_ranks(clone: Path, table: Path, output_dir: Path) -> list[str]:
    """The command of a job of two ranks."""
    table.write_text(rank_table.for_processes(2).to_json())
    config = str(clone / "configs" / "bert" / "run_bert_tiny_zh_parallel.yaml")
    words = [
        str(clone / "scripts" / "run_distribute.sh"),
        str(table),
        config,
        "[0,2]",
        "train",
        "2",
    ]
    where = [f"--dataset_dir={clone / 'news.txt'}", f"--output_dir={output_dir}"]
    return ["bash", *words, *where, *TWO]


@pytest.fixture
def job(start, clone: Path, tmp_path: Path):
    """Start a job of two ranks with this `output_dir` and these flags."""

    def begin(output_dir: Path, *words: str):
        command = two_ranks(clone, tmp_path / "table.json", output_dir)
        return start(words=[*command, *words], PYTHON=sys.executable)

    return begin


@pytest.fixture(scope="module")
def straight(clone: Path, tmp_path_factory) -> Path:
    """The run that nothing disturbs, of 10 steps."""
    folder = tmp_path_factory.mktemp("straight")
    done = subprocess.run(
        [*two_ranks(clone, folder / "table.json", folder / "output"), "--max_steps=10"],
        env={**os.environ, "PYTHON": sys.executable},
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-5000:]
    return folder / "output"


def wait_for_losses(launched, folder: Path, count: int) -> None:
    path = folder / "metrics.jsonl"
    launched.wait_for(lambda: path.exists() and path.read_text().count('"loss"') >= count, SECONDS)


def test_a_stopped_job_goes_on_as_if_nothing_had_been(job, straight: Path, tmp_path: Path) -> None:
    folder = tmp_path / "stopped"
    first = job(folder, "--max_steps=10")
    wait_for_losses(first, folder, 2)
    first.process.send_signal(signal.SIGTERM)
    code, _, err = first.finish(SECONDS)
    assert code == 143, err
    assert "SIGTERM: asking ranks 0, 1 to save and stop" in err
    saved = (folder / "checkpoint" / "latest").read_text().strip()
    assert saved == f"step_{len(losses(folder)):08d}"
    code, _, err = job(folder, "--max_steps=10", "--load_checkpoint=latest").finish(SECONDS)
    assert code == 0, err
    equal_runs(folder, straight)
    assert len(list((folder / "log" / "launch").iterdir())) == 2


def test_a_killed_rank_is_restarted_from_the_checkpoint(
    job, straight: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "killed"
    launched = job(folder, "--max_steps=10", "--max_restarts=1")
    wait_for_losses(launched, folder, 5)
    os.kill(launched.rank_pid(1), signal.SIGKILL)
    code, _, err = launched.finish(SECONDS)
    assert code == 0, err
    assert "rank 1: killed by SIGKILL (signal 9)" in err
    assert "restart 1 of 1" in err
    assert "resumed at step" in err
    equal_runs(folder, straight)


def test_a_mistake_is_told_once_and_not_tried_again(job, tmp_path: Path) -> None:
    words = ["--max_steps=10", "--max_restarts=3", "--vocab_file=/no/such/vocab.txt"]
    code, _, err = job(tmp_path / "mistake", *words).finish(SECONDS)
    assert code == 2
    assert "/no/such/vocab.txt" in err
    assert not list(tmp_path.glob("mistake/log/launch/*/restart_1"))


def test_results_of_rank_0_are_alone_on_standard_output(job, straight: Path) -> None:
    flags = ["--run_mode=eval", f"--load_checkpoint={straight}", "--max_steps=10"]
    code, out, err = job(straight, *flags).finish(SECONDS)
    assert code == 0, err
    assert json.loads(out)["eval_perplexity"] > 1
