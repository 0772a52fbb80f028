"""The loop with fakes: what is called when, and how it ends."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from mindmlm.optim.loss_scale import LossScale
from mindmlm.parallel.micro_batch import MicroBatch
from mindmlm.training.callbacks.checkpoint import CheckpointCallback
from mindmlm.training.callbacks.evaluation import EvaluationCallback
from mindmlm.training.callbacks.metrics import MetricsCallback
from mindmlm.training.evaluation import EvaluationResult
from mindmlm.training.loop import Callback, Run, fit
from mindmlm.training.phases import PhaseTimer
from mindmlm.training.state import TrainState
from mindmlm.training.train_step import StepResult


class FakeStep:
    """A train step that records the state it was given; `hook` may interfere."""

    def __init__(self, overflows=(), hook=lambda step: None):
        self.steps = []
        self.overflows = overflows
        self.hook = hook

    def run(self, micro_batches, state, stop_requested):
        self.steps.append(state.step)
        self.hook(state.step)
        tokens = sum(micro.tokens for micro in micro_batches)
        overflow = state.step in self.overflows
        return StepResult(1.0, 2.0, 3.0, state.loss_scale.value, overflow, tokens, stop_requested())


class Recorder(Callback):
    """Writes down every call."""

    def __init__(self, name, calls):
        self.name, self.calls = name, calls

    def on_train_begin(self, run):
        self.calls.append((self.name, "begin", run.state.step))

    def on_step_end(self, run, step):
        self.calls.append((self.name, "step", run.state.step, step.is_last, step.interrupted))

    def on_train_end(self, run):
        self.calls.append((self.name, "end", run.state.step))


class Lines:
    """A metrics writer that keeps its lines."""

    def __init__(self):
        self.lines = []
        self.closed = False

    def write(self, record):
        self.lines.append(dict(record))

    def close(self):
        self.closed = True


@pytest.fixture
def stop():
    return SimpleNamespace(signal=None)


def make_run(total, train_step=None, state=None, micro_batches=2):
    saved, evaluated = [], []
    run = Run(
        state=state or TrainState(),
        train_step=train_step or FakeStep(),
        next_batch=lambda: [MicroBatch((), (), (3.0,), 5, 8)] * micro_batches,
        total_steps=total,
        global_batch_size=8,
        samples_per_epoch=20,
        evaluate=lambda: evaluated.append(run.state.step) or EvaluationResult({"loss": 1.0}, 9),
        save=lambda: saved.append(run.state.step) or Path("somewhere"),
        phases=PhaseTimer(),
    )
    return run, saved, evaluated


def test_callbacks_are_called_in_the_order_of_the_list(stop):
    calls = []
    run, _, _ = make_run(2)
    assert fit(run, [Recorder("a", calls), Recorder("b", calls)], stop) is False
    assert calls == [
        ("a", "begin", 0),
        ("b", "begin", 0),
        ("a", "step", 1, False, False),
        ("b", "step", 1, False, False),
        ("a", "step", 2, True, False),
        ("b", "step", 2, True, False),
        ("a", "end", 2),
        ("b", "end", 2),
    ]


def test_counters_advance_and_a_resumed_run_does_the_rest(stop):
    train_step = FakeStep(overflows={3})
    state = TrainState(step=2, samples_seen=16, loss_scale=LossScale(64.0, 2.0, 100, 2, 0))
    run, _, _ = make_run(5, train_step, state)
    fit(run, [], stop)
    assert train_step.steps == [2, 3, 4]
    assert (state.step, state.samples_seen, state.updates) == (5, 40, 4)
    assert (state.loss_scale.value, state.loss_scale.overflow_count) == (32.0, 1)
    assert run.phases.calls["data"] == 3


def test_a_complete_run_does_nothing_more(stop):
    calls = []
    run, saved, evaluated = make_run(3, state=TrainState(step=3))
    assert fit(run, [Recorder("a", calls), CheckpointCallback(1)], stop) is False
    assert calls == [("a", "begin", 3), ("a", "end", 3)]
    assert saved == evaluated == []


def test_a_signal_in_a_step_ends_the_run_after_it_with_a_checkpoint(stop):
    def hook(step):
        if step == 2:
            stop.signal = 15

    run, saved, evaluated = make_run(10, FakeStep(hook=hook))
    lines = Lines()
    callbacks = [MetricsCallback(lines), EvaluationCallback(None, lines), CheckpointCallback(None)]
    assert fit(run, callbacks, stop) is True
    assert run.state.step == 3
    assert saved == [3]
    assert evaluated == [0]
    assert [line["step"] for line in lines.lines] == [0, 1, 2, 3]
    assert lines.closed


def test_a_signal_between_two_steps_lets_the_next_one_run_and_save(stop):
    class Between(Callback):
        def on_step_end(self, run, step):
            if run.state.step == 2:
                stop.signal = 2

    calls = []
    run, saved, _ = make_run(10)
    # The signal comes after the checkpoint callback had its turn.
    assert fit(run, [CheckpointCallback(2), Recorder("a", calls), Between()], stop) is True
    assert saved == [2, 3]
    assert calls[-2:] == [("a", "step", 3, True, True), ("a", "end", 3)]


def test_a_signal_before_the_first_step_still_does_one(stop):
    stop.signal = 15
    run, saved, _ = make_run(10)
    assert fit(run, [CheckpointCallback(None)], stop) is True
    assert saved == [1]


def test_a_signal_in_the_last_step_takes_nothing_from_a_complete_run(stop):
    def hook(step):
        stop.signal = 15 if step == 2 else None

    run, saved, evaluated = make_run(3, FakeStep(hook=hook))
    fit(run, [EvaluationCallback(None, Lines()), CheckpointCallback(None)], stop)
    assert saved == [3]
    assert evaluated == [0, 3]


@pytest.mark.parametrize("place", ["begin", "step", "callback"])
def test_an_error_still_ends_every_callback(stop, place):
    class Failing(Callback):
        def on_train_begin(self, run):
            if place == "begin":
                raise OSError(place)

        def on_step_end(self, run, step):
            if place == "callback":
                raise OSError(place)

    def hook(step):
        if place == "step":
            raise OSError(place)

    calls = []
    run, _, _ = make_run(3, FakeStep(hook=hook))
    with pytest.raises(OSError, match=place):
        fit(run, [Failing(), Recorder("a", calls)], stop)
    assert calls[-1] == ("a", "end", 1 if place == "callback" else 0)


def test_checkpoints_and_evaluations_keep_their_intervals(stop):
    lines = Lines()
    run, saved, evaluated = make_run(7)
    fit(run, [EvaluationCallback(2, lines), CheckpointCallback(3)], stop)
    assert saved == [3, 6, 7]
    assert evaluated == [0, 2, 4, 6, 7]


def test_only_at_the_ends_without_intervals(stop):
    run, saved, evaluated = make_run(7)
    fit(run, [EvaluationCallback(None, Lines()), CheckpointCallback(None)], stop)
    assert saved == [7]
    assert evaluated == [0, 7]


def test_the_line_of_a_step(stop):
    lines = Lines()
    run, _, _ = make_run(1, FakeStep(overflows={0}), TrainState(loss_scale=LossScale(8.0, 2.0)))
    fit(run, [MetricsCallback(lines)], stop)
    (line,) = lines.lines
    assert line.pop("tokens_per_second") == pytest.approx(line.pop("samples_per_second") * 10 / 8)
    assert line == {
        "step": 1,
        "epoch": 0.4,
        "loss": 1.0,
        "learning_rate": 3.0,
        "gradient_norm": 2.0,
        "loss_scale": 8.0,
        "overflow_count": 1,
        "global_batch_size": 8,
    }
