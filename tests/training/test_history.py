import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mindmlm.errors import DataError
from mindmlm.training.curves import moving_average, save_loss_curve
from mindmlm.training.history import read_history


def train_line(step: int, loss: float | None = 2.0) -> dict:
    return {"step": step, "loss": loss, "learning_rate": 1e-3 / step, "tokens_per_second": 10.0}


def eval_line(step: int, loss: float | None) -> dict:
    perplexity = None if loss is None else math.exp(loss)
    return {
        "step": step,
        "eval_loss": loss,
        "eval_perplexity": perplexity,
        "eval_masked_accuracy": 0.25,
    }


def write(path: Path, lines: list[dict], tail: str = "") -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) + tail)
    return path


def test_before_after_best(tmp_path: Path) -> None:
    lines = [eval_line(0, 5.0), train_line(1, 4.0), train_line(2, None), eval_line(2, 3.0)]
    lines += [train_line(3), eval_line(3, None), train_line(4), eval_line(4, 3.5)]
    history = read_history(write(tmp_path / "metrics.jsonl", lines))
    assert (history.before.step, history.after.step, history.best.step) == (0, 4, 2)
    assert history.best.perplexity == pytest.approx(math.exp(3.0))
    assert history.steps.tolist() == [1, 2, 3, 4]
    np.testing.assert_array_equal(history.losses, [4.0, np.nan, 2.0, 2.0])


def test_the_evaluation_of_the_training_counts(tmp_path: Path) -> None:
    lines = [eval_line(0, 5.0), train_line(1), eval_line(1, 4.0), eval_line(1, 1.0)]
    assert read_history(write(tmp_path / "m", lines)).after.loss == 4.0


def test_a_torn_last_line_is_ignored(tmp_path: Path) -> None:
    lines = [eval_line(0, 5.0), train_line(1)]
    assert read_history(write(tmp_path / "m", lines, '{"step": 2, "lo')).steps.tolist() == [1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"),
        ("", "is empty"),
        ('{"step": 1, "lo', "is empty"),
        (json.dumps(train_line(1)) + "\n", "no evaluation"),
        (json.dumps(eval_line(0, 5.0)) + "\n", "no training step"),
        (json.dumps(eval_line(0, 5.0)) + "\nnoise\n", r"m:2: not a line.*'noise'"),
        ('{"step": 1}\n', "m:1: .*loss"),
        ("[1]\n", "m:1: "),
        ('{"step": "x", "loss": 1}\n', "m:1: "),
    ],
)
def test_faults(tmp_path: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / "m").write_text(content)
    with pytest.raises(DataError, match=message):
        read_history(tmp_path / "m")


@given(
    st.lists(st.floats(-1e3, 1e3) | st.just(math.nan), min_size=1, max_size=40),
    st.integers(1, 50),
)
def test_moving_average(values: list[float], window: int) -> None:
    found = moving_average(np.array(values), window)
    for end in range(len(values)):
        part = [v for v in values[max(0, end + 1 - window) : end + 1] if not math.isnan(v)]
        expected = sum(part) / len(part) if part else math.nan
        assert found[end] == pytest.approx(expected, abs=1e-8, nan_ok=True)


def test_a_picture_is_drawn_for_long_and_broken_runs(tmp_path: Path) -> None:
    lines = [eval_line(0, 5.0)]
    lines += [train_line(step, None if step % 7 == 0 else 5.0 / step) for step in range(1, 9000)]
    lines += [eval_line(8999, None)]
    save_loss_curve(read_history(write(tmp_path / "m", lines)), tmp_path / "c.png", "title")
    data = (tmp_path / "c.png").read_bytes()
    assert data.startswith(b"\x89PNG")
    assert len(data) > 10_000
