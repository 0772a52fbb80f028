"""What a training run came to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mindmlm.jobs.given import ComputeMetrics
from mindmlm.training.evaluation import EvaluationResult
from mindmlm.training.loop import Callback, FinishedStep, Run


@dataclass(frozen=True)
class TrainOutput:
    """What `Trainer.train` returns.

    Attributes:
        global_step: updates of the whole run, those of its earlier parts included.
        training_loss: of the last step; None where there was no step left to do.
        metrics: of the last evaluation: `eval_loss`, `eval_perplexity`, ... Empty without one.
        checkpoint: folder of the last checkpoint.
        interrupted: whether `Trainer.stop` ended it.
    """

    global_step: int
    training_loss: float | None
    metrics: dict[str, float]
    checkpoint: Path | None
    interrupted: bool


@dataclass
class Watch(Callback):
    """Keeps the last of everything that a run reports.

    Args:
        compute_metrics: of the caller.
    """

    compute_metrics: ComputeMetrics | None = None
    step: int = 0
    loss: float | None = None
    metrics: dict[str, float] = field(default_factory=dict)

    def on_train_begin(self, run: Run) -> None:
        """See `Callback`."""
        self.step = run.state.step

    def on_step_end(self, run: Run, step: FinishedStep) -> None:
        """See `Callback`."""
        self.step, self.loss = run.state.step, step.result.loss

    def measure(self, result: EvaluationResult) -> Mapping[str, float]:
        """Pass an evaluation on to `compute_metrics`, and keep both."""
        more = self.compute_metrics(result) if self.compute_metrics else {}
        values = {**result.values, **more} if isinstance(more, Mapping) else {}
        self.metrics = {f"eval_{name}": value for name, value in values.items()}
        return more

    def output(self, checkpoint: Path | None, interrupted: bool) -> TrainOutput:
        """Return what was kept."""
        return TrainOutput(self.step, self.loss, self.metrics, checkpoint, interrupted)
