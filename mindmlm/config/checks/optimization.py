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
