"""Time by phase."""

import time

import pytest

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
