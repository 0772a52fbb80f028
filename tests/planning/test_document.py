"""docs/planning.md shows what its commands print."""

import re
import shlex

import pytest

from mindmlm.cli.plan_parallel import main

NAMES = ("run_gpt2_13b.yaml", "run_gpt2_52b.yaml")


@pytest.mark.parametrize("name", NAMES)
def test_the_page_shows_what_the_command_prints(project_root, monkeypatch, capsys, name):
    text = (project_root / "docs" / "planning.md").read_text(encoding="utf-8")
    commands = re.findall(r"^python tools/plan_parallel\.py (.*)$", text, re.MULTILINE)
    (words,) = (shlex.split(command) for command in commands if name in command)
    monkeypatch.chdir(project_root)
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert f"```\n{printed}```\n" in text
