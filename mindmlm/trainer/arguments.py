"""`TrainingArguments`: the settings of a run by short names."""

from dataclasses import dataclass, field, fields
from typing import Any

from mindmlm.config.problems import nearest
from mindmlm.errors import ConfigError

_SAVE_EVERY = "callbacks.CheckpointMonitor.save_checkpoint_steps"

GONE = {
    "sink_size": "MindFormers never passed it on; a step is driven from the host here",
    "integrated_save": "checkpoints of any layout load in any other, see docs/checkpoints.md",
    "save_seconds": "checkpoints are counted in steps, so that a repeated run has the same ones",
    "initial_epoch": "a resumed run knows its step; train(True) goes on from it",
}


def _key(path: str) -> Any:
    return field(default=None, metadata={"key": path})


@dataclass(frozen=True)
class TrainingArguments:
    """Settings that replace those of the configuration. None: the configuration's.

    `num_train_epochs`, `max_steps`, `warmup_steps` and intervals are counted as in the
    configuration: steps are updates of the weights.

    Args:
        output_dir: folder for everything that is written.
        seed: of everything random.
        data_seed: of order and masks alone.
        use_parallel: run on the processes that a launcher has started.
        profile: write seconds by phase to `profile.json`.
        sink_mode: data sinking; Ascend graphs only.
        num_train_epochs: passes over the samples.
        max_steps: updates of the whole run, in place of epochs.
        batch_size: rows of one data-parallel rank in a micro-batch.
        per_device_train_batch_size: second name of `batch_size`.
        per_device_eval_batch_size: rows of an evaluation batch.
        gradient_accumulation_steps: micro-batches of a step.
        learning_rate: the highest.
        lr_scheduler_type: linear, cosine, polynomial, constant, constant_with_warmup, or one of
            MindFormers (docs/mindformers.md).
        warmup_steps: steps in which the rate rises.
        warmup_ratio: the same as a part of all steps.
        optim: adamw, or an optimizer of MindFormers (docs/mindformers.md).
        weight_decay: part of a weight taken off a step, times the learning rate.
        adam_beta1: decay of the mean of gradients.
        adam_beta2: decay of the mean of squared gradients.
        adam_epsilon: added to the denominator of the update.
        max_grad_norm: gradients are clipped to this norm.
        logging_steps: steps between two log lines.
        eval_steps: steps between two evaluations.
        eval_on_start: evaluate before the first step too.
        save_strategy: `steps`, every `save_steps`, or `no`, at the end only.
        save_steps: steps between two checkpoints.
        save_total_limit: checkpoints that are kept.
        resume_from_checkpoint: what `train` starts from, unless it is told otherwise.

    Raises:
        ConfigError: a name is not known, or one of MindFormers that has no meaning here; or
            `save_strategy` contradicts `save_steps`. Values are checked with the configuration.
    """

    output_dir: str | None = _key("output_dir")
    seed: int | None = _key("seed")
    data_seed: int | None = _key("train_dataset.seed")
    use_parallel: bool | None = _key("use_parallel")
    profile: bool | None = _key("profile")
    sink_mode: bool | None = _key("runner_config.sink_mode")
    num_train_epochs: int | None = _key("runner_config.epochs")
    max_steps: int | None = _key("runner_config.max_steps")
    batch_size: int | None = _key("runner_config.batch_size")
    per_device_train_batch_size: int | None = _key("runner_config.batch_size")
    per_device_eval_batch_size: int | None = _key("eval_dataset.batch_size")
    gradient_accumulation_steps: int | None = _key("runner_config.gradient_accumulation_steps")
    learning_rate: float | None = _key("lr_schedule.learning_rate")
    lr_scheduler_type: str | None = _key("lr_schedule.type")
    warmup_steps: int | None = _key("lr_schedule.warmup_steps")
    warmup_ratio: float | None = _key("lr_schedule.warmup_ratio")
    optim: str | None = _key("optimizer.type")
    weight_decay: float | None = _key("optimizer.weight_decay")
    adam_beta1: float | None = _key("optimizer.beta1")
    adam_beta2: float | None = _key("optimizer.beta2")
    adam_epsilon: float | None = _key("optimizer.eps")
    max_grad_norm: float | None = _key("runner_wrapper.max_grad_norm")
    logging_steps: int | None = _key("callbacks.MFLossMonitor.per_print_times")
    eval_steps: int | None = _key("callbacks.EvalMonitor.eval_steps")
    eval_on_start: bool | None = _key("callbacks.EvalMonitor.eval_on_start")
    save_strategy: str | None = field(default=None, metadata={"key": None})
    save_steps: int | None = _key(_SAVE_EVERY)
    save_total_limit: int | None = _key("callbacks.CheckpointMonitor.keep_checkpoint_max")
    resume_from_checkpoint: str | None = _key("load_checkpoint")

    def __new__(cls, *values: Any, **named: Any) -> "TrainingArguments":
        """Explain a name that is not known; dataclasses would only say that it is not."""
        known = [item.name for item in fields(cls)]
        for name in named:
            if name in GONE:
                raise ConfigError(f"TrainingArguments: there is no {name}: {GONE[name]}")
            if name not in known:
                raise ConfigError(
                    f"TrainingArguments: unknown name {name}{nearest(name, known)}; there are "
                    f"{', '.join(known)}"
                )
        return super().__new__(cls)

    def __post_init__(self) -> None:
        if self.save_strategy not in (None, "no", "steps"):
            raise ConfigError(
                f"TrainingArguments.save_strategy: expected no or steps, got {self.save_strategy!r}"
            )
        if self.save_strategy == "no" and self.save_steps:
            raise ConfigError(
                f"TrainingArguments.save_steps: {self.save_steps} contradicts save_strategy no"
            )

    def settings(self) -> list[tuple[str, str, object]]:
        """Return (name, key of the configuration, value) of what is given."""
        given = [
            (item.name, item.metadata["key"], getattr(self, item.name))
            for item in fields(self)
            if item.metadata["key"] and getattr(self, item.name) is not None
        ]
        if self.save_strategy == "no":
            given.append(("save_strategy", _SAVE_EVERY, None))
        # One way to say the warm-up takes the place of the other, which a file may have.
        if self.warmup_steps is not None and self.warmup_ratio is None:
            given.append(("warmup_steps", "lr_schedule.warmup_ratio", None))
        if self.warmup_ratio is not None and self.warmup_steps is None:
            given.append(("warmup_ratio", "lr_schedule.warmup_steps", 0))
        return given
