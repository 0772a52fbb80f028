"""A progress bar with time left on a terminal or in a notebook; plain lines elsewhere."""

import logging
import sys

from tqdm import tqdm

from mindmlm.training.loop import Callback, FinishedStep, Run

logger = logging.getLogger(__name__)


class ProgressCallback(Callback):
    """Moves the bar at every step and writes a log line every `per_print_times` steps.

    Args:
        per_print_times: steps between two log lines.
        show_bar: whether this process has the screen.
    """

    def __init__(self, per_print_times: int, show_bar: bool = True) -> None:
        self.per_print_times = per_print_times
        self.show_bar = show_bar
        self.bar: tqdm | None = None
        self.seconds = 0.0
        self.steps = 0

    def on_train_begin(self, run: Run) -> None:
        """Show the bar where standard error is a terminal, and in a notebook."""
        if self.show_bar and (sys.stderr.isatty() or "ipykernel" in sys.modules):
            self.bar = tqdm(
                total=run.total_steps, initial=run.state.step, unit="step", dynamic_ncols=True
            )

    def on_step_end(self, run: Run, step: FinishedStep) -> None:
        """Advance."""
        self.seconds += step.seconds
        self.steps += 1
        if self.bar is not None:
            self.bar.set_postfix_str(f"loss {step.result.loss:.4f}", refresh=False)
            self.bar.update(1)
        if run.state.step % self.per_print_times == 0 or step.is_last:
            self._log(run, step)

    def on_train_end(self, run: Run) -> None:
        """Take the bar away."""
        if self.bar is not None:
            self.bar.close()

    def _log(self, run: Run, step: FinishedStep) -> None:
        result = step.result
        seconds_left = (run.total_steps - run.state.step) * self.seconds / self.steps
        overflow = ", overflow: step skipped" if result.overflow else ""
        logger.info(
            "step %d/%d, loss %.4f, lr %.3e, gradient norm %.3f, %.0f tokens/s, left %s%s",
            run.state.step,
            run.total_steps,
            result.loss,
            result.learning_rate,
            result.gradient_norm,
            step.result.tokens / step.seconds,
            tqdm.format_interval(seconds_left),
            overflow,
        )
        self.seconds, self.steps = 0.0, 0
