import json
import logging
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mindmlm.training.metrics import MetricsWriter

FLOATS = st.floats(allow_nan=False, allow_infinity=False)


def read_lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "output" / "metrics.jsonl"


def test_a_line_is_in_the_file_when_write_returns(path: Path) -> None:
    with MetricsWriter(path) as writer:
        for step in range(3):
            writer.write({"step": step, "loss": 1 / (step + 3)})
            assert read_lines(path)[-1] == {"step": step, "loss": 1 / (step + 3)}
            writer.sync()


@given(values=st.lists(FLOATS, min_size=1))
def test_numbers_are_not_rounded(
    tmp_path_factory: pytest.TempPathFactory, values: list[float]
) -> None:
    path = tmp_path_factory.mktemp("metrics") / "m.jsonl"
    with MetricsWriter(path) as writer:
        for value in values:
            single = np.array([value]).astype(np.float32)[0] if abs(value) < 1e38 else np.float32(0)
            writer.write({"double": value, "single": single, "count": np.int64(2**40)})
    for line, value in zip(read_lines(path), values, strict=True):
        assert line["double"].hex() == value.hex()
        assert line["count"] == 2**40
        assert abs(value) >= 1e38 or np.float32(line["single"]) == np.float32(value)


def test_numbers_that_json_has_no_form_for(path: Path) -> None:
    with MetricsWriter(path) as writer:
        writer.write({"a": math.nan, "b": math.inf, "c": np.float32("-inf"), "d": None, "e": "x"})
    assert path.read_text() == '{"a": null, "b": null, "c": null, "d": null, "e": "x"}\n'


def test_a_file_is_continued(path: Path) -> None:
    for step in (1, 2):
        with MetricsWriter(path) as writer:
            writer.write({"step": step})
    assert [line["step"] for line in read_lines(path)] == [1, 2]


@pytest.mark.parametrize("torn", ['{"step": 2, "lo', "x" * 200_000, '{"step": 2}'])
def test_a_torn_last_line_is_cut_off(path: Path, torn: str) -> None:
    path.parent.mkdir()
    path.write_text('{"step": 1}\n' + torn)
    with MetricsWriter(path) as writer:
        writer.write({"step": 3})
    assert [line["step"] for line in read_lines(path)] == [1, 3]


def test_a_file_that_is_one_torn_line(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("{" * 150_000)
    with MetricsWriter(path) as writer:
        writer.write({"step": 3})
    assert read_lines(path) == [{"step": 3}]


def test_truncation_keeps_each_step_once(path: Path) -> None:
    with MetricsWriter(path) as writer:
        for step in range(1, 9):
            writer.write({"step": step, "loss": step / 7})
            if step % 3 == 0:
                writer.write({"step": step, "eval_loss": step / 9})
        before = path.read_bytes().splitlines(keepends=True)
        writer.truncate_after(6)
        assert path.read_bytes().splitlines(keepends=True) == before[:8]
        writer.write({"step": 7, "loss": 1.0})
    steps = [line["step"] for line in read_lines(path) if "loss" in line]
    assert steps == [1, 2, 3, 4, 5, 6, 7]
    assert [entry.name for entry in path.parent.iterdir()] == ["metrics.jsonl"]


def test_truncation_to_nothing_and_of_nothing(path: Path) -> None:
    with MetricsWriter(path) as writer:
        writer.truncate_after(5)
        assert path.read_bytes() == b""
        writer.write({"step": 5})
        writer.truncate_after(4)
        assert path.read_bytes() == b""


def test_unreadable_lines_are_dropped_with_a_warning(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path.parent.mkdir()
    path.write_bytes(b'{"note": "kept"}\n\x00\x00\n{"step": 1}\n[1]\n{"step": "x"}\n{"step": 2}\n')
    with caplog.at_level(logging.WARNING), MetricsWriter(path) as writer:
        writer.truncate_after(1)
    assert read_lines(path) == [{"note": "kept"}, {"step": 1}]
    assert "3 unreadable lines" in caplog.text


def test_a_failed_truncation_leaves_the_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    with MetricsWriter(path) as writer:
        for step in range(5):
            writer.write({"step": step})
        before = path.read_bytes()
        with monkeypatch.context() as patch:
            patch.setattr("os.fsync", fail)
            with pytest.raises(OSError, match="No space"):
                writer.truncate_after(2)
        assert path.read_bytes() == before
        writer.write({"step": 5})
    assert len(read_lines(path)) == 6
    assert [entry.name for entry in path.parent.iterdir()] == ["metrics.jsonl"]
