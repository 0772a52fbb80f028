"""Settings that are written in Python, as a layer of the configuration."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel

from mindmlm.config.aliases import place_value
from mindmlm.config.nodes import Mapping as Section
from mindmlm.config.nodes import Node, from_python
from mindmlm.config.problems import raise_problems
from mindmlm.errors import ConfigError


class Setting(NamedTuple):
    """A value for a key.

    Attributes:
        origin: where it was written, for error messages: `Trainer(train_dataset)`.
        key: dotted path, of a value or of a section.
        value: numbers, texts, paths, lists and mappings of them, None; a section of the schema.
    """

    origin: str
    key: str
    value: Any


def section_of(values: Mapping[str, Any], origin: str) -> Section:
    """Return a mapping of sections and keys, as a YAML file has them, as a layer.

    Raises:
        ConfigError: a value is none that a configuration can hold.
    """
    node = _node(values, origin)
    assert isinstance(node, Section)
    return node


def settings_layer(settings: Iterable[Setting]) -> Section:
    """Return single settings as a layer.

    Raises:
        ConfigError: two contradict each other, or a value is none that a configuration can hold.
    """
    layer, lines = Section("settings"), list[str]()
    for setting in settings:
        node = _node(setting.value, setting.origin)
        lines += place_value(layer, setting.key, node, setting.key)
    raise_problems(lines)
    return layer


def _node(value: Any, origin: str) -> Node:
    try:
        return from_python(_plain(value), origin)
    except TypeError as error:
        raise ConfigError(f"{origin}: {error}") from None


def _plain(value: Any) -> object:
    """Return paths as texts, scalars of numpy as Python's, and sections of the schema as dicts."""
    if isinstance(value, BaseModel):
        return value.model_dump(by_alias=True)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_plain(item) for item in value]
    if type(value).__module__ == "numpy" and getattr(value, "shape", None) == ():
        return value.item()
    return value
