"""Who divides a run over its ranks: ours (`parallel_mode` 0 and 3), or MindSpore's (1)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mindmlm.build import data, model, semi_auto, training
from mindmlm.config.schema import RunConfig


@dataclass(frozen=True)
class Engine:
    """How the parts of a training run are built.

    Each function takes what the one before it has made.

    Args:
        build_model: (config, tokenizer, place) -> a `ModelOnRank`.
        build_updater: (config, model) -> what a checkpoint is saved from.
        build_train_step: (config, updater, agreement, steps, phase) -> what does a step.
        build_batches: (config, samples, tokenizer, model) -> a function of the step.
        evaluates: whether the weights can be evaluated while they are trained.
    """

    build_model: Callable[..., Any]
    build_updater: Callable[..., Any]
    build_train_step: Callable[..., Any]
    build_batches: Callable[..., Callable[[int], Any]]
    evaluates: bool


EXPLICIT = Engine(
    model.build_model,
    training.build_updater,
    training.build_train_step,
    data.build_batches,
    evaluates=True,
)
SEMI_AUTO = Engine(
    semi_auto.build_model,
    semi_auto.build_updater,
    semi_auto.build_train_step,
    semi_auto.build_engine_batches,
    evaluates=False,
)


def engine_of(config: RunConfig) -> Engine:
    """The engine that a configuration asks for."""
    return SEMI_AUTO if config.use_parallel and config.parallel_mode == 1 else EXPLICIT
