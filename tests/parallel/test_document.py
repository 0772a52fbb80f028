"""docs/parallel.md: its dry run says what is shown, its launch starts what the file asks for."""

import json
import re
import shlex
from pathlib import Path

import pytest

from mindmlm.config import load_config
from mindmlm.parallel.layout import ParallelLayout
from mindmlm.testing.command import SMALL_OPTIONS, run_python


@pytest.fixture
def document(project_root: Path) -> str:
    return (project_root / "docs" / "parallel.md").read_text(encoding="utf-8")


def blocks(document: str, language: str) -> list[str]:
    """Contents of the fenced blocks of a language; '' is output."""
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", document, re.MULTILINE | re.DOTALL)
    return [text for name, text in fenced if name == language]


def command(document: str, program: str) -> list[str]:
    lines = "".join(blocks(document, "bash")).splitlines()
    (line,) = [line for line in lines if line.startswith(program)]
    return shlex.split(line)


def test_the_dry_run_says_what_the_document_shows(document, project_root, monkeypatch) -> None:
    for name in ("RANK_SIZE", "MS_WORKER_NUM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(project_root)
    done = run_python(command(document, "python ")[1:])
    assert done.code == 0, done.stderr
    (shown,) = blocks(document, "")
    assert shown in done.stderr


@pytest.mark.slow
def test_the_memory_of_recomputing_is_measured(document, project_root, monkeypatch) -> None:
    monkeypatch.chdir(project_root)
    (shown,) = re.findall(r"`python (benchmarks/recompute\.py .*?)`", document, re.DOTALL)
    script, *options = shlex.split(shown)
    done = run_python([script, "--json", "--rounds=1", "--steps=3", *options, *SMALL_OPTIONS])
    assert done.code == 0, done.stderr
    measured = json.loads(done.stdout.splitlines()[-1])
    assert measured["same_losses"]
    # Python and MindSpore alone have more than this.
    assert min(measured["peak"], measured["peak_recomputed"]) > 2e8


def test_msrun_starts_as_many_processes_as_the_file_asks_for(document, project_root) -> None:
    words = command(document, "msrun ")
    config = load_config(
        project_root / words[words.index("--config") + 1], require_inputs=False
    ).config
    assert f"--worker_num={config.processes}" in words
    assert f"--local_worker_num={config.processes}" in words


def test_the_grid_is_that_of_the_code(document: str) -> None:
    layout = ParallelLayout(2, 2, 2)
    rows = re.findall(r"^\| stage (\d) \| (.*) \|$", document, re.MULTILINE)
    shown = {
        (int(stage), place): int(cell.removeprefix("rank "))
        for stage, cells in rows
        for place, cell in enumerate(cells.split(" | "))
    }
    assert len(shown) == 8
    for (stage, place), rank in shown.items():
        at = layout.coordinates(rank)
        assert (at.stage, at.data, at.model) == (stage, *divmod(place, 2))
    assert layout.model_group(0) == (0, 1)
    assert layout.data_group(0) == (0, 2)
    assert layout.stage_group(0) == (0, 4)
    for name, ranks in (("model", "0, 1"), ("data", "0, 2"), ("stage", "0, 4")):
        assert f"* **{name}** ({ranks}):" in document
