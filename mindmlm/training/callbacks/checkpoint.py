"""Checkpoints at intervals, at the end, and when the run is asked to stop."""

import logging

from mindmlm.training.loop import Callback, FinishedStep, Run

logger = logging.getLogger(__name__)


class CheckpointCallback(Callback):
    """Saves every `save_checkpoint_steps` steps (None = only at the end)."""

    def __init__(self, save_checkpoint_steps: int | None) -> None:
        self.save_checkpoint_steps = save_checkpoint_steps

    def on_step_end(self, run: Run, step: FinishedStep) -> None:
        """Save when it is time."""
        interval = self.save_checkpoint_steps
        if step.is_last or run.finished or (interval and run.state.step % interval == 0):
            with run.phases("checkpoint"):
                path = run.save()
            logger.info("step %d: checkpoint saved in %s", run.state.step, path)
