"""Evaluation at the start, at intervals and at the end."""

import logging

from mindmlm.training.loop import Callback, FinishedStep, Run
from mindmlm.training.metrics import MetricsWriter, NoMetrics

logger = logging.getLogger(__name__)


class EvaluationCallback(Callback):
    """Evaluates every `eval_steps` steps (None: not between), at the end and `on_start`."""

    def __init__(
        self, eval_steps: int | None, writer: MetricsWriter | NoMetrics, on_start: bool = True
    ) -> None:
        self.eval_steps = eval_steps
        self.on_start = on_start
        self.writer = writer

    def on_train_begin(self, run: Run) -> None:
        """Evaluate the weights that a new run starts from, to measure progress by."""
        if self.on_start and run.state.step == 0:
            self._evaluate(run)

    def on_step_end(self, run: Run, step: FinishedStep) -> None:
        """Evaluate when the interval or the run is over.

        A run that is asked to stop before its end evaluates only if the interval is over: its
        metrics then continue as those of a run that was never stopped.
        """
        complete = run.state.step >= run.total_steps
        if complete or (self.eval_steps and run.state.step % self.eval_steps == 0):
            self._evaluate(run)

    def _evaluate(self, run: Run) -> None:
        with run.phases("evaluation"):
            result = run.evaluation = run.evaluate()
        self.writer.write(result.metrics(run.state.step))
        logger.info("step %d: held-out %s", run.state.step, result.describe())
