"""The README's commands, in their order, in one folder, as a user would type them."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mindmlm.testing.command import SMALL_OPTIONS
from mindmlm.testing.corpus import write_corpus

NOT_RUN = {
    "bash scripts/run_tests.sh": "it runs these tests",
    "source .venv/bin/activate": "the interpreter of the tests stands for it",
}
REDUCED = " ".join(["--max_steps 3", *(f"--{option}" for option in SMALL_OPTIONS)])
SHOWN_ONLY = ("--print_config", "--dry_run", "--help", "--run_mode eval", "--run_mode predict")


def readme_commands(text: str) -> list[str]:
    blocks = re.findall(r"^```bash\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def reduced(command: str) -> str:
    """The command with a small model and three steps where it would train."""
    if "quickstart.sh" in command:
        return f"{command} --python python -- {REDUCED}"
    if "run_distribute.sh" in command:
        return f"{command} --max_steps 3"
    if "output/parallel/config.yaml" in command:
        return f"{command} --max_steps 5"
    if "build_dataset.py" in command:
        return f"{command} --max_seq_length 32"
    if "configs/distill/" in command:
        return f"{command} {REDUCED} --distillation.teacher_layers [0]"
    if "run_mindformer.py" in command and not any(words in command for words in SHOWN_ONLY):
        return f"{command} {REDUCED}"
    return command


@pytest.fixture
def commands(project_root: Path) -> list[str]:
    return readme_commands((project_root / "README.md").read_text(encoding="utf-8"))


@pytest.fixture
def folder(project_root: Path, tmp_path: Path) -> Path:
    """A folder that looks like a clone, with two texts of the user's."""
    for name in ("configs", "scripts", "tools", "run_mindformer.py"):
        (tmp_path / name).symlink_to(project_root / name)
    write_corpus(tmp_path / "news.txt", documents=60)
    write_corpus(tmp_path / "other.txt", documents=10, seed=2)
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    return tmp_path


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env={**os.environ, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}"},
        capture_output=True,
        encoding="utf-8",
        timeout=600,
        check=False,
    )


def test_the_exceptions_are_commands_of_the_readme(commands: list[str]) -> None:
    assert set(NOT_RUN) <= set(commands)


def test_links_lead_somewhere(project_root: Path) -> None:
    pages = [project_root / "README.md", project_root / "CONTRIBUTING.md"]
    pages += (project_root / "docs").rglob("*.md")
    wrong = [
        f"{page.name}: {link}"
        for page in pages
        for link in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8"))
        if "://" not in link and not (page.parent / link).exists()
    ]
    assert not wrong


def test_every_shipped_run_is_listed(project_root: Path) -> None:
    text = (project_root / "README.md").read_text(encoding="utf-8")
    names = {path.name for path in (project_root / "configs").glob("*/run_*.yaml")}
    assert {name for name in names if f"`{name}`" not in text} == set()


@pytest.mark.slow
def test_every_command_runs(commands: list[str], folder: Path) -> None:
    assert len(commands) > len(NOT_RUN) + 5
    for command in commands:
        if command in NOT_RUN:
            continue
        done = run(reduced(command), folder)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    for name in ("quickstart_zh", "news", "tuned", "parallel"):
        assert (folder / "output" / name / "checkpoint" / "latest").is_file()
    assert (folder / "output" / "quickstart_zh" / "loss_curve.png").is_file()


@pytest.mark.slow
def test_the_quick_start_skips_what_is_done(folder: Path) -> None:
    command = f"bash scripts/quickstart.sh --lang en --output mine --python python -- {REDUCED}"
    first = run(command, folder)
    assert first.returncode == 0, first.stderr
    weights = (folder / "mine" / "checkpoint" / "latest").stat().st_mtime_ns
    second = run(command, folder)
    assert second.stdout == first.stdout
    assert "3/3" not in second.stderr
    assert (folder / "mine" / "checkpoint" / "latest").stat().st_mtime_ns == weights
    longer = run(command.replace("--max_steps 3", "--max_steps 5"), folder)
    assert "resumed at step 3" in longer.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [("--lang fr", "fr is not zh or en"), ("--speed 3", "unknown flag"), ("--lang", "missing")],
)
def test_wrong_words_of_the_quick_start(folder: Path, words: str, message: str) -> None:
    done = run(f"bash scripts/quickstart.sh --python python {words}", folder)
    assert done.returncode == 2
    assert message in done.stderr
    assert not (folder / "output").exists()
