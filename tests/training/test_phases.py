"""Time by phase."""

import time

import pytest

from mindmlm.runtime.launch.heartbeat import Beat, Heartbeat, read_beat
from mindmlm.training.phases import PhaseTimer


def test_seconds_and_calls_add_up_and_the_longest_comes_first():
    phases = PhaseTimer()
    started = time.perf_counter()
    for _ in range(3):
        with phases("short"):
            pass
    with phases("long"):
        time.sleep(0.05)
    elapsed = time.perf_counter() - started
    report = phases.report()
    assert list(report) == ["long", "short"]
    assert [report[name]["calls"] for name in report] == [1, 3]
    assert 0.05 <= sum(phase["seconds"] for phase in report.values()) <= elapsed
    assert sum(phase["share"] for phase in report.values()) == pytest.approx(1.0)


def test_a_phase_that_fails_counts_too():
    phases = PhaseTimer()
    with pytest.raises(KeyError), phases("data"):
        raise KeyError
    assert phases.calls == {"data": 1}


def test_nothing_was_timed():
    assert PhaseTimer().report() == {}


def test_the_launcher_sees_how_far_a_rank_is(monkeypatch, tmp_path):
    assert Heartbeat.from_environment() is None
    path = tmp_path / "beat"
    monkeypatch.setenv("MINDMLM_HEARTBEAT_FILE", str(path))
    assert read_beat(path) is None
    phases = PhaseTimer(Heartbeat.from_environment())
    assert read_beat(path) is None
    with phases("evaluation"):
        assert read_beat(path) == Beat(1, "evaluation number 1")
    with phases("data"):
        pass
    with phases("data"):
        assert read_beat(path) == Beat(3, "data number 2")
