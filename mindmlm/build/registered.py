"""From a configuration to the classes of MindFormers that it names (docs/mindformers.md)."""

from collections.abc import Mapping, Sequence
from typing import Any

from mindspore import Parameter

from mindmlm.config.registered import CALLBACKS, OPTIMIZERS, SCHEDULES, Registered
from mindmlm.config.schema import (
    RegisteredOptimizerConfig,
    RegisteredScheduleConfig,
    RunConfig,
)
from mindmlm.errors import ConfigError
from mindmlm.optim.registered import RegisteredOptimizer, RegisteredSchedule
from mindmlm.runtime.mindformers_registry import mindformers_registry
from mindmlm.training.callbacks.registered import RegisteredCallback

_TOTAL, _WARMUP = "total_steps", "warmup_steps"


def build_registered_schedule(section: RegisteredScheduleConfig, steps: int) -> RegisteredSchedule:
    """The schedule that a section names.

    Args:
        section: `total_steps` that is not given (or null, -1) is the length of the run, and
            `warmup_steps` 0.
        steps: length of the run.

    Raises:
        ConfigError: MindFormers refuses the arguments.
    """
    entry, arguments = SCHEDULES[section.type], section.arguments
    if _TOTAL in entry.arguments and arguments.get(_TOTAL) in (None, -1):
        arguments[_TOTAL] = steps
    if _WARMUP in entry.arguments and arguments.get("warmup_ratio") is None:
        arguments[_WARMUP] = arguments.get(_WARMUP) or 0
    cell = _made("lr_schedule", "lr", section.type, _typed(entry, arguments))
    schedule = RegisteredSchedule(cell)
    schedule.at(0)
    return schedule


def build_registered_optimizer(
    section: RegisteredOptimizerConfig, parameters: Sequence[Parameter]
) -> RegisteredOptimizer:
    """The optimizer that a section names, for what this rank updates.

    Raises:
        ConfigError: it refuses the arguments.
    """
    entry = OPTIMIZERS[section.type]
    arguments = _typed(entry, section.arguments)
    decay = arguments.pop("weight_decay", 0.0)

    def build(groups: list[Any], learning_rate: float) -> Any:
        given = {"params": groups, "learning_rate": learning_rate, **arguments}
        return _made("optimizer", "optimizer", section.type, given)

    return RegisteredOptimizer(parameters, build, decay)


def build_registered_callbacks(config: RunConfig, prints: bool) -> list[RegisteredCallback]:
    """The callbacks of MindFormers that a run names.

    Args:
        config: the run.
        prints: whether what they print is shown.

    Raises:
        ConfigError: one refuses its arguments.
    """
    return [
        RegisteredCallback(
            _made(f"callbacks.{name}", "callback", name, _typed(CALLBACKS[name], arguments)),
            prints,
        )
        for name, arguments in config.callbacks.registered.items()
    ]


def _typed(entry: Registered, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments with whole numbers as floats where a number is expected; some classes insist."""
    return {
        name: float(value)
        if entry.arguments[name].kind == "number" and value is not None
        else value
        for name, value in arguments.items()
    }


def _made(section: str, module_type: str, name: str, arguments: Mapping[str, Any]) -> Any:
    registered = mindformers_registry().get_cls(module_type, name)
    try:
        return registered(**arguments)
    except (TypeError, ValueError) as error:
        shown = " ".join(str(error).split())
        raise ConfigError(f"{section}: {name} refuses these arguments: {shown}") from None
