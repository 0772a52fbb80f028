"""Classes that MindFormers registers: their names, their arguments, and where they can work."""

from collections.abc import Iterator

from mindmlm.config.problems import Problem, nearest
from mindmlm.config.registered import (
    CALLBACKS,
    EXTRA,
    OPTIMIZERS,
    REFUSED,
    SCHEDULES,
    Registered,
    argument_problems,
    is_installed,
)
from mindmlm.config.schema import (
    RegisteredOptimizerConfig,
    RegisteredScheduleConfig,
    RunConfig,
)
from mindmlm.config.schema.callbacks import CallbacksConfig


def registered_names(config: RunConfig) -> dict[str, tuple[str, Registered, dict[str, object]]]:
    """The classes of MindFormers that a run uses: section -> name, entry, arguments."""
    found: dict[str, tuple[str, Registered, dict[str, object]]] = {}
    optimizer, schedule = config.optimizer, config.lr_schedule
    if isinstance(optimizer, RegisteredOptimizerConfig):
        found["optimizer"] = (optimizer.type, OPTIMIZERS[optimizer.type], optimizer.arguments)
    if isinstance(schedule, RegisteredScheduleConfig):
        found["lr_schedule"] = (schedule.type, SCHEDULES[schedule.type], schedule.arguments)
    for name, arguments in config.callbacks.registered.items():
        if name in CALLBACKS and isinstance(arguments, dict):
            found[f"callbacks.{name}"] = (name, CALLBACKS[name], arguments)
    return found


def callbacks_are_known(config: RunConfig) -> Iterator[Problem]:
    """A callback is ours, or one of MindFormers that works here."""
    ours = [field.alias or name for name, field in CallbacksConfig.model_fields.items()]
    for name, arguments in config.callbacks.registered.items():
        path = f"callbacks.{name}"
        if name in REFUSED["callbacks"]:
            yield Problem(path, f"is refused: {REFUSED['callbacks'][name]}")
        elif name not in CALLBACKS:
            known = [*ours, *CALLBACKS]
            yield Problem(
                path, f"unknown key; allowed here: {', '.join(known)}{nearest(name, known)}"
            )
        elif not isinstance(arguments, dict):
            names = ", ".join(CALLBACKS[name].arguments)
            yield Problem(path, f"expected a section with the keys {names}; got {arguments!r}")


def registered_arguments_fit(config: RunConfig) -> Iterator[Problem]:
    """Arguments are those that the class takes, and the package is there."""
    for section, (name, entry, arguments) in registered_names(config).items():
        for argument, message in argument_problems(name, entry, arguments):
            yield Problem(f"{section}.{argument}", message)
        if not is_installed():
            yield Problem(
                section if section.startswith("callbacks") else f"{section}.type",
                f"{name} is MindFormers' and needs its package: pip install 'mindmlm[{EXTRA}]'",
            )


def registered_optimizer_divides(config: RunConfig) -> Iterator[Problem]:
    """Only an optimizer that treats each value by itself can update parts of parameters."""
    section = config.optimizer
    if not isinstance(section, RegisteredOptimizerConfig):
        return
    if config.use_parallel and config.parallel_mode == 1:
        yield Problem(
            "optimizer.type",
            f"{section.type}: the graph of parallel_mode 1 (semi_auto_parallel) has AdamW in it; "
            "use adamw, or parallel_mode 3 (hybrid_parallel)",
        )
    data, model, _ = config.degrees
    if OPTIMIZERS[section.type].elementwise:
        return
    if model > 1 or (config.optimizer_parallel and data > 1):
        yield Problem(
            "optimizer.type",
            f"{section.type} looks at whole parameters, so its state cannot be divided: it works "
            "with model_parallel 1 and without optimizer_shard (ZeRO-1); use adamw there",
        )
