"""One line of `metrics.jsonl` a step."""

from mindmlm.training.loop import Callback, FinishedStep, Run
from mindmlm.training.metrics import MetricsWriter, NoMetrics


class MetricsCallback(Callback):
    """Writes a train line after every step."""

    def __init__(self, writer: MetricsWriter | NoMetrics) -> None:
        self.writer = writer

    def on_step_end(self, run: Run, step: FinishedStep) -> None:
        """Write the line."""
        state, result = run.state, step.result
        self.writer.write(
            {
                "step": state.step,
                "epoch": state.samples_seen / run.samples_per_epoch,
                "loss": result.loss,
                **result.terms,
                "learning_rate": result.learning_rate,
                "gradient_norm": result.gradient_norm,
                "loss_scale": result.loss_scale,
                "overflow_count": state.loss_scale.overflow_count,
                "global_batch_size": run.global_batch_size,
                "tokens_per_second": step.result.tokens / step.seconds,
                "samples_per_second": run.global_batch_size / step.seconds,
            }
        )

    def on_train_end(self, run: Run) -> None:
        """Close the file."""
        self.writer.close()
