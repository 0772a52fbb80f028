"""The command line on a small text and a small model, in a process of its own or in this one."""

import contextlib
import io
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from mindmlm.testing.command import SMALL_OPTIONS, Finished, run_python
from mindmlm.testing.corpus import write_corpus

TIMINGS = ("tokens_per_second", "samples_per_second")


@dataclass(frozen=True)
class CommandLine:
    """`run_mindformer.py` with the small model on a small text; words that follow override.

    `here` runs in this process and is faster; `process` and `start` are what a user does.
    """

    project_root: Path
    text: Path
    vocabulary: Path

    def words(self, output_dir: Path, *words: str) -> list[str]:
        """The arguments of a run that trains 12 steps, saves every 4 and evaluates every 6."""
        return [
            f"--config={self.project_root / 'configs' / 'bert' / 'run_bert_tiny_zh.yaml'}",
            f"--output_dir={output_dir}",
            f"--vocab_file={self.vocabulary}",
            f"--dataset_dir={self.text}",
            "--max_steps=12",
            "--save_checkpoint_steps=4",
            "--callbacks.CheckpointMonitor.keep_checkpoint_max=2",
            "--callbacks.EvalMonitor.eval_steps=6",
            *(f"--{option}" for option in SMALL_OPTIONS),
            *words,
        ]

    def here(self, *words: str) -> Finished:
        """Run in this process with exactly these words."""
        from mindmlm.cli.run import main

        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main([str(word) for word in words])
        return Finished(code, out.getvalue(), err.getvalue())

    def process(self, *words: str) -> Finished:
        """Run in a process of its own with exactly these words."""
        return run_python([self.project_root / "run_mindformer.py", *words])

    def start(self, *words: str) -> subprocess.Popen:
        """Start a process and do not wait for it."""
        return subprocess.Popen(
            [sys.executable, str(self.project_root / "run_mindformer.py"), *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


@pytest.fixture(autouse=True, scope="module")
def graph_mode_afterwards():
    """A run sets MindSpore's mode for the whole process; other tests expect graph mode."""
    yield
    if "mindspore" in sys.modules:
        import mindspore

        mindspore.set_context(mode=mindspore.GRAPH_MODE)


@pytest.fixture(scope="session")
def command(project_root, tmp_path_factory) -> CommandLine:
    from mindmlm.data.sources.files import FileSource
    from mindmlm.data.vocabulary import train_vocab_file

    folder = tmp_path_factory.mktemp("e2e")
    text = write_corpus(folder / "text.txt")
    vocabulary = folder / "vocab.txt"
    train_vocab_file(vocabulary, FileSource.of_paths(text), 300, True)
    return CommandLine(project_root, text, vocabulary)


@dataclass(frozen=True)
class Trained:
    """A finished run: its output folder, its words and what the process left."""

    folder: Path
    words: list[str]
    finished: Finished


@pytest.fixture(scope="session")
def trained(command, tmp_path_factory) -> Trained:
    """One training run as a user's process; read only, see `copy_of`."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    words = command.words(folder)
    finished = command.process(*words)
    assert finished.code == 0, finished.stderr
    return Trained(folder, words, finished)


@pytest.fixture
def copy_of_run(trained, tmp_path):
    """A copy of the finished run to damage or go on with."""
    folder = tmp_path / "run"
    shutil.copytree(trained.folder, folder)
    return folder


@pytest.fixture(scope="session")
def metrics():
    """A function folder -> the lines of metrics.jsonl, without what depends on the clock."""

    def read(folder: Path) -> list[dict]:
        lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        return [
            {key: value for key, value in json.loads(line).items() if key not in TIMINGS}
            for line in lines
        ]

    return read


@pytest.fixture(scope="session")
def tensor_hashes():
    """A function path -> {(group, name): sha256} by `python -m mindmlm inspect --json`."""

    def read(path: Path) -> dict[tuple[str, str], str]:
        from mindmlm.cli.main import main

        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            assert main(["inspect", str(path), "--json"]) == 0
        tensors = json.loads(out.getvalue())["tensors"]
        return {(tensor["group"], tensor["name"]): tensor["sha256"] for tensor in tensors}

    return read
