"""The loop over steps. It knows no task, no model and no parallel layout."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mindmlm.parallel.micro_batch import MicroBatch
from mindmlm.training.evaluation import EvaluationResult
from mindmlm.training.phases import PhaseTimer
from mindmlm.training.state import TrainState
from mindmlm.training.train_step import StepResult, TrainStep


class StopFlag(Protocol):
    """Anything that can ask the loop to end; see `training.interrupt.StopRequest`."""

    signal: int | None
    graceful: bool


@dataclass
class Run:
    """The parts of one training run, put together by `build`.

    Args:
        state: counters; the loop advances them.
        train_step: does a step on the device.
        next_batch: micro-batches of the next step, in order.
        total_steps: step at which the run is complete.
        global_batch_size: samples a step.
        samples_per_epoch: training samples.
        evaluate: evaluates the current weights.
        save: writes a checkpoint of the current weights and returns its folder.
        phases: time by phase.
        evaluation: result of the last evaluation.
        finished: set by a callback that wants no more steps; the run then ends as complete, with
            a checkpoint.
    """

    state: TrainState
    train_step: TrainStep
    next_batch: Callable[[], Sequence[MicroBatch]]
    total_steps: int
    global_batch_size: int
    samples_per_epoch: int
    evaluate: Callable[[], EvaluationResult]
    save: Callable[[], Path]
    phases: PhaseTimer
    evaluation: EvaluationResult | None = None
    finished: bool = False


@dataclass(frozen=True)
class FinishedStep:
    """A step that was just done.

    Args:
        result: of the device.
        seconds: wall-clock time, waiting for data included.
        is_last: whether the loop ends after it.
        interrupted: whether it ends because a stop was asked for.
    """

    result: StepResult
    seconds: float
    is_last: bool
    interrupted: bool


class Callback:
    """Observes a run. The loop calls the callbacks in the order of its list."""

    def on_train_begin(self, run: Run) -> None:
        """Called once before the first step."""

    def on_step_end(self, run: Run, step: FinishedStep) -> None:
        """Called after every step, with `run.state` already advanced."""

    def on_train_end(self, run: Run) -> None:
        """Called once after the last step, also after an interruption or an error."""


def fit(run: Run, callbacks: Sequence[Callback], stop: StopFlag) -> bool:
    """Train until `run.total_steps`, or to the end of the step in which `stop.signal` is set.

    A callback ends the run by `run.finished`, on all ranks in the same step.

    A signal that comes after the gradients of a step lets the next one run: then all ranks end
    with the same step, and it has gone through every callback, the one that saves among them.

    Returns:
        Whether the loop ended because it was asked to.
    """
    interrupted = False
    stop.graceful = True
    try:
        for callback in callbacks:
            callback.on_train_begin(run)
        while run.state.step < run.total_steps and not interrupted and not run.finished:
            finished = _one_step(run, stop)
            for callback in callbacks:
                callback.on_step_end(run, finished)
            interrupted = finished.interrupted
    finally:
        stop.graceful = False
        for callback in callbacks:
            callback.on_train_end(run)
    return interrupted


def _one_step(run: Run, stop: StopFlag) -> FinishedStep:
    start = time.perf_counter()
    with run.phases("data"):
        micro_batches = run.next_batch()
    result = run.train_step.run(micro_batches, run.state, lambda: stop.signal is not None)
    run.state.loss_scale.update(result.overflow)
    run.state.step += 1
    run.state.samples_seen += run.global_batch_size
    return FinishedStep(
        result=result,
        seconds=time.perf_counter() - start,
        is_last=result.stop or run.state.step >= run.total_steps,
        interrupted=result.stop,
    )
