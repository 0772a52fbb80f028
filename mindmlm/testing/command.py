"""The command line in a process of its own, as a user runs it."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

# A BERT of one layer on rows of 32 tokens: a step takes milliseconds.
SMALL_OPTIONS: tuple[str, ...] = (
    "model.model_config.num_hidden_layers=1",
    "model.model_config.hidden_size=32",
    "model.model_config.intermediate_size=64",
    "train_dataset.max_seq_length=32",
    "runner_config.batch_size=4",
    "context.device_target=CPU",
)


@dataclass(frozen=True)
class Finished:
    """What a process left: exit code (negative: the signal that killed it) and its output."""

    code: int
    stdout: str
    stderr: str


def run_python(words: Sequence[str | Path], timeout: float = 300.0) -> Finished:
    """Run this interpreter with `words` (a script and its arguments, or -m and a module).

    Args:
        words: arguments of the interpreter.
        timeout: seconds after which it is killed.

    Raises:
        subprocess.TimeoutExpired: it took longer.
    """
    done = subprocess.run(
        [sys.executable, *map(str, words)],
        capture_output=True,
        encoding="utf-8",
        timeout=timeout,
        check=False,
    )
    return Finished(done.returncode, done.stdout, done.stderr)
