"""Objects that a caller in Python gives to a job, where a configuration can only name things."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from mindspore import Parameter, nn

from mindmlm import build
from mindmlm.config.schema import RunConfig
from mindmlm.errors import ConfigError
from mindmlm.optim.adamw import AdamW
from mindmlm.parallel.place import Place
from mindmlm.tokenizers.base import Tokenizer
from mindmlm.training.evaluation import EvaluationResult
from mindmlm.training.loop import Callback

ComputeMetrics = Callable[[EvaluationResult], Mapping[str, float]]


@dataclass(frozen=True)
class Given:
    """Objects in place of what the configuration describes, or besides. None: the configuration's.

    Attributes:
        model: a whole network with values. Training begins from them and changes them; a
            checkpoint that is loaded replaces them.
        optimizer: (the parameters that this rank updates) -> an `AdamW`, of a class derived from it
            or with other constants for each parameter. Its state is kept in checkpoints.
        callbacks: called after every callback of the run but the one that saves checkpoints, in
            this order; the same ones on every rank.
        compute_metrics: (result of an evaluation) -> more measures, which are reported with it.
            Called on every rank.
    """

    model: nn.Cell | None = None
    optimizer: Callable[[Sequence[Parameter]], AdamW] | None = None
    callbacks: tuple[Callback, ...] = ()
    compute_metrics: ComputeMetrics | None = None

    def __post_init__(self) -> None:
        for callback in self.callbacks:
            if not isinstance(callback, Callback):
                raise ConfigError(
                    f"callbacks: {type(callback).__name__} is not derived from "
                    "mindmlm.training.loop.Callback"
                )

    def build_model(self, config: RunConfig, tokenizer: Tokenizer, place: Place) -> Any:
        """The network that was given, or a new one with its first values.

        Raises:
            ConfigError: it does not fit.
        """
        if self.model is not None:
            return build.model_of_cell(self.model, config, tokenizer, place)
        return build.engine_of(config).build_model(config, tokenizer, place)

    def build_updater(self, config: RunConfig, model: Any) -> Any:
        """What changes the weights, with the optimizer that was given.

        Raises:
            ConfigError: it is none that can be used.
        """
        updater = build.engine_of(config).build_updater(config, model)
        if self.optimizer is None:
            return updater
        if not isinstance(updater, build.Updater):
            raise ConfigError("optimizers: parallel_mode 1 has AdamW in its graph; use mode 0 or 3")
        optimizer = self.optimizer(updater.owned.parameters)
        if not isinstance(optimizer, AdamW):
            raise ConfigError(
                f"optimizers: made a {type(optimizer).__name__}, expected an "
                "mindmlm.optim.adamw.AdamW or a class derived from it, whose state can be divided "
                "over ranks and kept in checkpoints"
            )
        return replace(updater, optimizer=optimizer)

    def measured(self, result: EvaluationResult) -> EvaluationResult:
        """The result with the measures of `compute_metrics`.

        Raises:
            ConfigError: it gave something else than numbers by name.
        """
        if self.compute_metrics is None:
            return result
        more = self.compute_metrics(result)
        if not isinstance(more, Mapping):
            raise ConfigError(
                f"compute_metrics: gave {type(more).__name__}, expected numbers by name"
            )
        for name, value in more.items():
            if not isinstance(value, int | float | np.number) or isinstance(value, bool):
                raise ConfigError(f"compute_metrics: {name} is {value!r}, expected a number")
        numbers = {str(name): float(value) for name, value in more.items()}
        return replace(result, values={**result.values, **numbers})


NOTHING = Given()
