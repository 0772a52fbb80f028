"""Section `callbacks`: what happens at intervals. The keys are MindFormers' class names."""

from typing import Any

from pydantic import ConfigDict, Field

from mindmlm.config.schema.base import Section
from mindmlm.config.schema.types import PositiveInteger, StepInterval


class LossMonitorConfig(Section):
    """Progress lines."""

    per_print_times: PositiveInteger = Field(
        default=10, description="Steps between two log lines. The progress bar moves at every step."
    )


class CheckpointMonitorConfig(Section):
    """Checkpoints."""

    save_checkpoint_steps: StepInterval = Field(
        default=100, description="Steps between two checkpoints. null or 0 = only at the end."
    )
    keep_checkpoint_max: PositiveInteger = Field(
        default=5, description="How many checkpoints are kept; the oldest go first."
    )


class EvalMonitorConfig(Section):
    """Evaluation during training."""

    eval_steps: StepInterval = Field(
        default=100,
        description="Steps between two evaluations. null or 0 = only at the start and the end.",
    )
    eval_on_start: bool = Field(
        default=True,
        description="Evaluate the weights that a new run begins with, to measure progress by; "
        "False = the first step comes sooner.",
    )


class CallbacksConfig(Section):
    """One entry per callback.

    Names of callbacks that MindFormers registers stand beside ours, each with its arguments
    (docs/mindformers.md); `mindmlm.config.checks.registered` refuses all others.
    """

    model_config = ConfigDict(extra="allow")

    loss_monitor: LossMonitorConfig = Field(
        default_factory=LossMonitorConfig, alias="MFLossMonitor", description="Progress lines."
    )
    checkpoint_monitor: CheckpointMonitorConfig = Field(
        default_factory=CheckpointMonitorConfig,
        alias="CheckpointMonitor",
        description="Checkpoints.",
    )
    eval_monitor: EvalMonitorConfig = Field(
        default_factory=EvalMonitorConfig,
        alias="EvalMonitor",
        description="Evaluation during training.",
    )

    @property
    def registered(self) -> dict[str, dict[str, Any]]:
        """Arguments of each of MindFormers' callbacks by its name."""
        return dict(self.model_extra or {})
