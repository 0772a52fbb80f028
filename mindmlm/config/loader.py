"""From a YAML file and a command line to one checked configuration.

Layers, lowest first: the files of `base_config` in their order, the file itself, settings from
Python, `--options` and `--a.b.c`, the named flags. Sections are merged key by key, anything else is
replaced whole.
"""

import os
from collections.abc import Collection
from collections.abc import Mapping as MappingType
from collections.abc import Sequence as SequenceType
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from mindmlm.config.aliases import resolve_aliases, without_other_kind
from mindmlm.config.checks import (
    check_consistency,
    check_device,
    check_inputs,
    check_launch,
)
from mindmlm.config.nodes import Mapping, Scalar, Sequence, find, merge, origin_of, to_python
from mindmlm.config.overrides import flag_layer, option_layer
from mindmlm.config.problems import (
    format_problems,
    nearest,
    raise_problems,
    validation_problems,
)
from mindmlm.config.schema import RunConfig
from mindmlm.config.yaml_source import read_yaml
from mindmlm.errors import ConfigError

MAX_FILES = 100


@dataclass(frozen=True)
class LoadedConfig:
    """A checked configuration that knows where each value came from.

    `config`: the values. `origins`: dotted key path to `FILE:LINE`, the flag, or "default". `file`:
    the YAML file as shown to the user. `notes`: inputs that are missing, one line each, when they
    were not required.
    """

    config: RunConfig
    origins: dict[str, str]
    file: str
    notes: tuple[str, ...]
    tree: Mapping

    def require_device(self, device_target: str) -> None:
        """Raise ConfigError for settings that `device_target` ("CPU" or "Ascend") cannot run.

        `load_config` has done it unless `context.device_target` is auto.
        """
        problems = check_device(self.config, device_target)
        raise_problems(format_problems(problems, self.tree, self.file))


def load_config(
    path: str | Path | None,
    options: SequenceType[str] = (),
    dotted: MappingType[str, str] | None = None,
    flags: MappingType[str, object] | None = None,
    require_inputs: bool = True,
    layers: SequenceType[Mapping] = (),
    provided: Collection[str] = (),
) -> LoadedConfig:
    """Load, merge, type-check and cross-check a configuration.

    Parameters: `path`, the YAML file, None for the defaults alone; `options`, texts `KEY=VALUE`;
    `dotted`, key path to value text; `flags`, flag name (see `mindmlm.config.flags`) to value, None
    for a flag not given; `require_inputs`, False to report a missing text, checkpoint or the like
    as a note (a dry run); `layers`, settings from Python above the file, lowest first, which may
    name files in `base_config` too; `provided`, keys of inputs that the caller has as objects.

    Raises ConfigError with one line per problem found.
    """
    file = _shown(Path(path)) if path is not None else "the settings"
    tree = Mapping(file)
    lines: list[str] = []
    for layer in _layers(path, layers):
        lines += resolve_aliases(layer, tree)
        tree = merge(without_other_kind(tree, layer), layer)
    layer, contradictions = option_layer(options, dotted or {})
    lines += contradictions + resolve_aliases(layer, tree)
    tree = merge(without_other_kind(tree, layer), layer)
    flags = flags or {}
    layer, contradictions = flag_layer(flags, _run_mode(tree, flags))
    lines += contradictions
    tree = merge(tree, layer)
    config, wrong = _validate(tree, file)
    raise_problems(lines + wrong)
    return _cross_check(config, tree, file, require_inputs, provided)


def _validate(tree: Mapping, file: str) -> tuple[RunConfig, list[str]]:
    """Return the typed configuration, or the default one with a line per problem."""
    try:
        return RunConfig.model_validate(to_python(tree)), []
    except ValidationError as error:
        return RunConfig(), format_problems(validation_problems(error), tree, file)


def _cross_check(
    config: RunConfig, tree: Mapping, file: str, require_inputs: bool, provided: Collection[str]
) -> LoadedConfig:
    """Apply the rules across keys and collect the origins."""
    problems = check_consistency(config)
    problems += check_launch(config, os.environ, dry_run=not require_inputs)
    if config.context.device_target != "auto":
        problems += check_device(config, config.context.device_target)
    missing = [problem for problem in check_inputs(config) if problem.path not in provided]
    if require_inputs:
        problems += missing
    raise_problems(format_problems(problems, tree, file))
    notes = () if require_inputs else tuple(format_problems(missing, tree, file))
    return LoadedConfig(config, _origins(config, tree), file, notes, tree)


def _origins(config: RunConfig, tree: Mapping) -> dict[str, str]:
    """Return the origin of every value of `config`, by dotted path."""
    origins: dict[str, str] = {}

    def walk(value: object, path: str) -> None:
        if isinstance(value, dict):
            for key, item in value.items():
                walk(item, f"{path}.{key}" if path else key)
        else:
            origins[path] = origin_of(tree, path) if find(tree, path) is not None else "default"

    walk(config.model_dump(by_alias=True), "")
    return origins


def _run_mode(tree: Mapping, flags: MappingType[str, object]) -> str:
    """Return the run mode before validation, which decides what --dataset_dir stands for."""
    if flags.get("run_mode") is not None:
        return str(flags["run_mode"])
    node = find(tree, "run_mode")
    return str(node.value) if isinstance(node, Scalar) else "train"


def _layers(path: str | Path | None, given: SequenceType[Mapping]) -> list[Mapping]:
    """Return the layers of a file and those of Python, the bases of each first."""
    layers: list[Mapping] = []
    if path is not None:
        _collect(Path(path), "", (), layers)
    for layer in given:
        for base, origin in _bases(layer):
            _collect(Path(base), origin, (), layers)
        layers.append(layer)
    return layers


def _collect(path: Path, named_at: str, chain: tuple[Path, ...], layers: list[Mapping]) -> None:
    resolved = path.resolve()
    if resolved in chain:
        names = " -> ".join(_shown(step) for step in (*chain[chain.index(resolved) :], resolved))
        raise ConfigError(
            f"{named_at}: base_config: the files name each other in a circle: {names}"
        )
    if not path.is_file():
        where = f"{named_at}: base_config: " if named_at else ""
        reason = "is a folder" if path.is_dir() else f"no such file{_nearest_file(path)}"
        raise ConfigError(f"{where}{_shown(path)}: {reason}")
    layer = read_yaml(path, _shown(path))
    for base, origin in _bases(layer):
        _collect(path.parent / base, origin, (*chain, resolved), layers)
    layers.append(layer)
    if len(layers) > MAX_FILES:
        raise ConfigError(f"{named_at}: base_config: more than {MAX_FILES} files are loaded")


def _bases(layer: Mapping) -> list[tuple[str, str]]:
    """Take `base_config` out of a layer; return the file names with their origins."""
    node = layer.entries.pop("base_config", None)
    if node is None:
        return []
    if not isinstance(node, Sequence):
        raise ConfigError(f"{node.origin}: base_config: expected a list of file names")
    bases = []
    for item in node.items:
        if not isinstance(item, Scalar) or not isinstance(item.value, str) or not item.value:
            raise ConfigError(f"{item.origin}: base_config: expected a file name")
        bases.append((item.value, item.origin))
    return bases


def _nearest_file(path: Path) -> str:
    if not path.parent.is_dir():
        return f" (and no folder {_shown(path.parent)})"
    return nearest(path.name, sorted(item.name for item in path.parent.iterdir()))


def _shown(path: Path) -> str:
    """Return the path as a user would write it: relative when it lies under the current folder."""
    resolved, here = path.resolve(), Path.cwd()
    return str(resolved.relative_to(here)) if resolved.is_relative_to(here) else str(resolved)
