"""docs/modelarts.md and the image: what they name is there, and the commands run."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from mindmlm.config.flags import FLAGS_BY_NAME
from mindmlm.testing.command import SMALL_OPTIONS
from mindmlm.testing.corpus import write_corpus

from .conftest import steps_of


@pytest.fixture
def page(project_root: Path) -> str:
    return (project_root / "docs" / "modelarts.md").read_text(encoding="utf-8")


def test_every_flag_of_the_console_is_explained(page):
    console = [name for name, flag in FLAGS_BY_NAME.items() if flag.group == "ModelArts"]
    for name in (*console, "dataset", "dataset_id", "data_url", "train_url"):
        assert f"`--{name}`" in page


def test_the_hyper_parameters_of_the_page_are_a_job(page, project_root, tmp_path):
    """As the console passes them, checked without cards."""
    block = re.search(r"```\n(\s+config\s+=.*?)```", page, re.DOTALL)
    assert block is not None
    pairs = [line.split("=", 1) for line in block[1].strip().splitlines()]
    words = [f"--{name.strip()}={value.strip()}" for name, value in pairs]
    words += [f"--dataset={tmp_path}", "--dry_run"]
    for name in ("wikitext-repeat-512.mindrecord", "wikitext-repeat-512.mindrecord.db"):
        (tmp_path / name).write_bytes(b"")
    done = subprocess.run(
        [sys.executable, project_root / "run_mindformer.py", *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    assert "the configuration is good" in done.stderr
    assert "data_parallel 4 x model_parallel 2 x pipeline_stage 4 = 32 processes" in done.stderr


@pytest.mark.slow
def test_the_rehearsal_of_the_page_runs(page, project_root, tmp_path):
    (block,) = re.findall(r"^```bash\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    for name in ("configs", "run_mindformer.py"):
        (tmp_path / name).symlink_to(project_root / name)
    (tmp_path / "data").mkdir()
    write_corpus(tmp_path / "data" / "news.txt", documents=60)
    small = " ".join(f"--{option}" for option in SMALL_OPTIONS)
    commands = block.replace("python run_", f"{shlex.quote(sys.executable)} run_")
    commands = re.sub(r"(--max_steps=\d+)", rf"\1 {small}", commands)
    done = subprocess.run(
        ["bash", "-e", "-c", commands],
        cwd=tmp_path,
        env={**os.environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr
    assert "going on from step_00000020" in done.stderr
    metrics = (tmp_path / "store" / "job-1" / "metrics.jsonl").read_bytes()
    assert steps_of(metrics) == list(range(1, 41))


def test_the_image_copies_what_is_there(project_root):
    folder = project_root / "docker"
    text = (folder / "modelarts.Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    allowed = {
        line.removeprefix("!")
        for line in (folder / "modelarts.Dockerfile.dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    copied = set()
    for line in text.splitlines():
        words = line.split()
        if words[:1] == ["COPY"]:
            copied |= {word for word in words[1:-1] if not word.startswith("--")}
        if words[:1] == ["RUN"]:
            subprocess.run(["bash", "-n", "-c", line.removeprefix("RUN ")], check=True)
    assert {name.split("/")[0] for name in copied} == allowed
    assert all((project_root / name).exists() for name in copied)
