"""What a `Trainer` was told, as a configuration: the same that the command line would load."""

from collections.abc import Collection, Mapping, Sequence
from copy import copy
from pathlib import Path
from typing import Any

from mindmlm.config import LoadedConfig, RunConfig, load_config
from mindmlm.config.named_runs import TASKS, named_run, named_task, task_name
from mindmlm.config.nodes import Mapping as Section
from mindmlm.config.python_settings import Setting, section_of, settings_layer
from mindmlm.config.schema import ModelConfig
from mindmlm.config.schema.network import NetworkConfig
from mindmlm.errors import ConfigError
from mindmlm.trainer.arguments import TrainingArguments

GENERAL = "general"
Arguments = str | Path | Mapping[str, Any] | RunConfig | TrainingArguments


class Settings:
    """Layers of settings: the file that `args` or the model's name means, `args`, single ones.

    Args:
        args: see `Trainer`.
        task: see `Trainer`.
        model: a name, or the description of a network; None = the task's default, unless `args` is
            a whole configuration.

    Raises:
        ConfigError: neither says what is to be trained, or both do.
    """

    def __init__(
        self,
        args: Arguments | None,
        task: str,
        model: str | NetworkConfig | ModelConfig | Mapping[str, Any] | None,
    ) -> None:
        self._task = task
        self._args = args
        self._settings: list[Setting] = []
        name = model if isinstance(model, str) else None
        described = None if isinstance(model, str) else model
        is_whole = isinstance(args, str | Path | RunConfig)
        if is_whole and name is not None:
            raise ConfigError(
                f"Trainer: args is a whole configuration and model={name!r} the name of another "
                "one; give one of the two"
            )
        if name is None and task != GENERAL and not is_whole:
            name = named_task(task).model
        if (
            task == GENERAL
            and name is None
            and (args is None or isinstance(args, TrainingArguments))
        ):
            raise ConfigError(
                "Trainer: task general needs args (a YAML file, a dict or a RunConfig) or the name "
                f"of a model; or name the task: {', '.join(TASKS)}"
            )
        self._file = (
            Path(args) if isinstance(args, str | Path) else named_run(name) if name else None
        )
        if described is not None:
            self._describe(described)

    def with_settings(self, settings: Sequence[Setting]) -> "Settings":
        """Return these settings with further ones, which replace those for the same keys."""
        new = copy(self)
        replaced = {setting.key for setting in settings}
        kept = [setting for setting in self._settings if setting.key not in replaced]
        new._settings = [*kept, *settings]
        return new

    def load(self, require_inputs: bool = True, provided: Collection[str] = ()) -> LoadedConfig:
        """Load and check the configuration; arguments as for `load_config`.

        Raises:
            ConfigError: one line per problem.
        """
        loaded = load_config(
            self._file,
            layers=[*self._layers_of_args(), settings_layer(self._settings)],
            require_inputs=require_inputs,
            provided=provided,
        )
        self._check_task(loaded)
        return loaded

    def _layers_of_args(self) -> list[Section]:
        args = self._args
        if isinstance(args, RunConfig):
            return [section_of(args.model_dump(by_alias=True), "args")]
        if isinstance(args, TrainingArguments):
            named = [
                Setting(f"TrainingArguments.{name}", key, value)
                for name, key, value in args.settings()
            ]
            return [settings_layer(named)]
        if isinstance(args, Mapping):
            return [section_of(args, "args")]
        if args is None or isinstance(args, str | Path):
            return []
        raise ConfigError(
            f"Trainer: args is a {type(args).__name__}; expected the path of a YAML file, a dict, "
            "TrainingArguments or a RunConfig"
        )

    def _describe(self, model: NetworkConfig | ModelConfig | Mapping[str, Any]) -> None:
        is_network = isinstance(model, NetworkConfig)
        if not is_network and not isinstance(model, ModelConfig | Mapping):
            raise ConfigError(
                f"Trainer: model is a {type(model).__name__}; expected a name, a network, the "
                "section model_config of a configuration, or a dict of it"
            )
        key = "model" if isinstance(model, ModelConfig) else "model.model_config"
        self._settings.append(Setting("Trainer(model)", key, model))

    def _check_task(self, loaded: LoadedConfig) -> None:
        found = loaded.config.trainer.type
        if self._task != GENERAL and named_task(self._task).trainer != found:
            raise ConfigError(
                f"{loaded.file}: trainer.type is {found}, which is task {task_name(found)}, not "
                f"{self._task}"
            )
