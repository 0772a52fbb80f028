"""Learning rate and its warm-up."""

from collections.abc import Iterator

from mindmlm.config.problems import Problem
from mindmlm.config.schema import LearningRateConfig, RunConfig


def one_warmup(config: RunConfig) -> Iterator[Problem]:
    """A warm-up is given in steps or as a ratio."""
    schedule = config.lr_schedule
    if not isinstance(schedule, LearningRateConfig):
        return
    if schedule.warmup_steps and schedule.warmup_ratio:
        yield Problem(
            "lr_schedule.warmup_steps",
            f"warmup_steps {schedule.warmup_steps} and warmup_ratio {schedule.warmup_ratio} are "
            "both given; set one of them (warmup_steps to 0 or warmup_ratio to null)",
        )


def warmup_fits_schedule(config: RunConfig) -> Iterator[Problem]:
    """The curve must reach its top before it ends."""
    schedule = config.lr_schedule
    if not isinstance(schedule, LearningRateConfig):
        return
    if schedule.total_steps and schedule.warmup_steps >= schedule.total_steps:
        yield Problem(
            "lr_schedule.warmup_steps",
            f"{schedule.warmup_steps} is not less than total_steps {schedule.total_steps}",
        )


def rate_falls(config: RunConfig) -> Iterator[Problem]:
    """The schedules decay towards lr_end."""
    schedule = config.lr_schedule
    if not isinstance(schedule, LearningRateConfig):
        return
    if schedule.lr_end > schedule.learning_rate:
        yield Problem(
            "lr_schedule.lr_end",
            f"{schedule.lr_end} is above learning_rate {schedule.learning_rate}; "
            "the rate falls from one to the other",
        )


def optimizer_state_is_there(config: RunConfig) -> Iterator[Problem]:
    """A run from random weights has no state to keep; a resumed one keeps its own."""
    starts_anew = config.run_mode == "train" and not config.load_checkpoint
    if config.optimizer.keep_state and starts_anew:
        yield Problem(
            "optimizer.keep_state",
            "begins with the moments of another run; add --run_mode finetune --load_checkpoint "
            "FOLDER_OF_THAT_RUN, or use False",
        )


def optimizer_has_an_engine(config: RunConfig) -> Iterator[Problem]:
    """The graph of mode 1 has AdamW in it."""
    if config.optimizer.type != "adamw" and config.use_parallel and config.parallel_mode == 1:
        yield Problem(
            "parallel.parallel_mode",
            f"1 (semi_auto_parallel) has no {config.optimizer.type}; use 3 (hybrid_parallel) or 0 "
            "(data_parallel), or optimizer.type: adamw",
        )
