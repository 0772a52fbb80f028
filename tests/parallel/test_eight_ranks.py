"""The shipped configuration of eight processes, started as users do: what one process computes.

`run_bert_tiny_zh_parallel.yaml` as it is, on the Chinese sample: dropout 0.1, float32,
dp2·tp2·pp2 with the optimizer and the vocabulary cut.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from mindmlm.checkpoint import read_checkpoint
from mindmlm.data.samples import write_sample
from mindmlm.runtime.rank_table import for_processes

from .closeness import far

pytestmark = pytest.mark.slow
CONFIG = "configs/bert/run_bert_tiny_zh_parallel.yaml"
SECONDS = 900
PROVED, END = 20, 30
LENGTH = f"--max_steps {END} --save_checkpoint_steps 10 --callbacks.EvalMonitor.eval_steps 0"
NO_ZERO = "--parallel_config.optimizer_shard=False --parallel.enable_parallel_optimizer=False"
FOUR_COPIES = (
    "--parallel_config.data_parallel=4 --parallel_config.model_parallel=1 "
    "--parallel_config.pipeline_stage=1 --parallel_config.micro_batch_num=1"
)


@dataclass(frozen=True)
class Clone:
    """A folder that looks like a clone, with a text in it; `document` is docs/parallel.md."""

    folder: Path
    document: str

    def run(self, script: str) -> None:
        """Run lines of a shell in the folder; they have to succeed."""
        programs = Path(sys.executable).parent
        done = subprocess.run(
            ["bash", "-euc", script],
            cwd=self.folder,
            env={**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"},
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]

    def distribute(self, ranks: int, output: str, words: str) -> Path:
        """Train on ranks of our own launcher; return the folder of the run."""
        (self.folder / f"{ranks}.json").write_text(for_processes(ranks).to_json())
        self.run(
            f'bash scripts/run_distribute.sh {ranks}.json {CONFIG} "[0,{ranks}]" train {ranks} '
            f"--dataset_dir news.txt --output_dir {output} {LENGTH} {words}"
        )
        return self.folder / output


@pytest.fixture(scope="module")
def clone(project_root: Path, tmp_path_factory) -> Clone:
    folder = tmp_path_factory.mktemp("clone")
    for name in ("configs", "scripts", "run_mindformer.py"):
        (folder / name).symlink_to(project_root / name)
    write_sample("zh", folder).rename(folder / "news.txt")
    return Clone(folder, (project_root / "docs" / "parallel.md").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def one(clone: Clone) -> Path:
    """The same rows in one process."""
    clone.run(
        f"python run_mindformer.py --config {CONFIG} --use_parallel False --batch_size 8 "
        f"--dataset_dir news.txt --output_dir one {LENGTH}"
    )
    return clone.folder / "one"


@pytest.fixture(scope="module")
def under_msrun(clone: Clone) -> Path:
    """What the document says, with fewer steps and a port that is free."""
    (script,) = re.findall(r"^```bash\n(export .*?)^```", clone.document, re.MULTILINE | re.DOTALL)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert script.count("--max_steps 200") == script.count("msrun --worker_num=8 ") == 1
    script = script.replace("--max_steps 200", LENGTH)
    clone.run(script.replace("msrun ", f"msrun --master_port={port} "))
    return clone.folder / "output" / "parallel"


@pytest.fixture(scope="module")
def without_zero(clone: Clone) -> Path:
    return clone.distribute(8, "without_zero", NO_ZERO)


def losses(folder: Path) -> list[float]:
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["loss"] for line in lines if '"loss"' in line]


def step_of(folder: Path, step: int):
    """The checkpoint of a step."""
    return read_checkpoint(folder / "checkpoint" / f"step_{step:08d}")


def assert_same_weights(mine, expected) -> None:
    """Within 1e-4, each tensor by its norm and each value by itself."""
    ours, theirs = mine.tensors("model"), expected.tensors("model")
    assert far(ours, theirs)[0] < 1e-4
    for name, value in theirs.items():
        np.testing.assert_allclose(ours[name], value, atol=1e-4, err_msg=name)


@pytest.mark.parametrize("run", ["under_msrun", "without_zero"])
def test_eight_processes_train_like_one(one: Path, run: str, request) -> None:
    folder = request.getfixturevalue(run)
    expected = losses(one)
    assert len(expected) == END
    # The model learns, so that there is something to compare.
    assert expected[PROVED - 1] < 0.95 * expected[0]
    np.testing.assert_allclose(losses(folder), expected, rtol=1e-5)
    found = step_of(folder, PROVED)
    assert_same_weights(found, step_of(one, PROVED))
    assert found.layout["data_parallel"] == found.layout["model_parallel"] == 2
    assert found.layout["pipeline_stage"] == 2
    # All eight wrote a part of the optimizer state; without ZeRO-1 one of each two copies did.
    parts = list(found.path.glob("optimizer.rank_*"))
    assert len(parts) == (8 if run == "under_msrun" else 4)


def test_it_goes_on_as_four_copies(clone: Clone, one: Path, under_msrun: Path) -> None:
    before = clone.folder / "four"
    shutil.copytree(under_msrun, before)
    shutil.rmtree(before / "checkpoint" / f"step_{END:08d}")
    (before / "checkpoint" / "latest").write_text(f"step_{PROVED:08d}\n")
    words = f"{FOUR_COPIES} {NO_ZERO} --load_checkpoint latest"
    folder = clone.distribute(4, "four", words)
    assert losses(folder)[:PROVED] == losses(under_msrun)[:PROVED]
    np.testing.assert_allclose(losses(folder)[PROVED:], losses(one)[PROVED:], rtol=1e-5)
    assert len(losses(folder)) == END
    assert_same_weights(step_of(folder, END), step_of(one, END))
    assert step_of(folder, END).layout["data_parallel"] == 4
