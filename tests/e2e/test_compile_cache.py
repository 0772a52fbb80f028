"""`context.enable_compile_cache`: the second run takes the graphs of the first, and no others."""

from pathlib import Path

import pytest

KEY = "--context.enable_compile_cache=True"


@pytest.fixture
def graphs(tmp_path, monkeypatch):
    """The folder of graphs: names of the files and their inodes."""
    folder = tmp_path / "graphs"
    monkeypatch.setenv("MINDMLM_GRAPHS_DIR", str(folder))

    def found() -> dict[str, int]:
        return {path.name: path.stat().st_ino for path in folder.iterdir()}

    return found


def test_a_second_run_takes_the_graphs_of_the_first(command, tmp_path, metrics, graphs):
    def run(name: str, *words: str) -> tuple[list[dict], dict[str, int]]:
        done = command.process(*command.words(tmp_path / name, KEY, *words))
        assert done.code == 0, done.stderr
        lines = metrics(tmp_path / name)
        kept = {"step", "loss", "eval_loss", "grad_norm"}
        return [{n: v for n, v in one.items() if n in kept} for one in lines], graphs()

    first, made = run("first")
    # Training and evaluation.
    assert len(made) >= 2
    again, found = run("again")
    assert again == first
    assert found == made
    # A run that evaluates at other steps compiles in another order.
    other, found = run("other", "--callbacks.EvalMonitor.eval_steps=5")
    assert found == made
    losses = {line["step"]: line["loss"] for line in first if "loss" in line}
    assert {line["step"]: line["loss"] for line in other if "loss" in line} == losses
    _, found = run("dropped", "--model.model_config.hidden_dropout_prob=0.3")
    assert found.keys() > made.keys()


def test_where_it_has_no_effect_the_log_says_so(command, tmp_path: Path, graphs):
    done = command.here(*command.words(tmp_path / "run", KEY, "--mode=1", "--max_steps=1"))
    assert done.code == 0, done.stderr
    assert "context.enable_compile_cache has no effect: graphs are kept in one" in done.stderr
    assert not (tmp_path / "graphs").exists()
