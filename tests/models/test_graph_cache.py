"""A kept graph is taken again only where it is the same; MindSpore alone takes wrong ones."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parent / "programs" / "kept_graphs.py"


@pytest.fixture
def call(tmp_path, project_root):
    """Results of the program for some factors, and the graphs that are there then."""

    def run(factors: str, **variables: str) -> tuple[list[float], dict[str, int]]:
        environment = {
            **os.environ,
            "MINDMLM_GRAPHS_DIR": str(tmp_path / "graphs"),
            "PYTHONPATH": str(project_root),
            **variables,
        }
        done = subprocess.run(
            [sys.executable, str(PROGRAM), factors],
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        graphs = {p.name: p.stat().st_ino for p in (tmp_path / "graphs").iterdir()}
        return json.loads(done.stdout), graphs

    return run


def test_a_graph_is_taken_again_and_no_other(call):
    results, first = call("2,3")
    assert results == [7.0, 8.0]
    assert len(first) == 2
    assert all(name.endswith(".mindir") for name in first)
    # The same two in another order: nothing is compiled, or a file would be written anew.
    results, second = call("3,2")
    assert results == [8.0, 7.0]
    assert second == first
    # One that is new between those that are there.
    results, third = call("2,10,3")
    assert results == [7.0, 15.0, 8.0]
    assert len(third) == 3
    assert third.items() >= first.items()


def test_a_damaged_graph_is_compiled_anew(call, tmp_path):
    _, made = call("2")
    (path,) = (tmp_path / "graphs").iterdir()
    path.write_bytes(path.read_bytes()[:40])
    results, mended = call("2")
    assert results == [7.0]
    assert mended != made
    assert path.stat().st_size > 40
    assert call("2") == ([7.0], mended)


def test_the_folder_of_others_is_not_used(tmp_path, monkeypatch):
    from mindmlm.models import graph_cache

    monkeypatch.setattr(graph_cache, "_in_use", [])
    folder = tmp_path / "graphs"
    folder.mkdir()
    folder.chmod(0o777)
    monkeypatch.setenv(graph_cache.FOLDER_VARIABLE, str(folder))
    assert "somebody else" in (graph_cache.keep_graphs() or "")
    monkeypatch.setenv("MS_COMPILER_CACHE_ENABLE", "1")
    assert "MS_COMPILER_CACHE_ENABLE is set" in (graph_cache.keep_graphs() or "")
    assert graph_cache._in_use == []
