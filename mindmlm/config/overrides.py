"""Layers from the command line: `--options a.b=c`, `--a.b.c v` and the named flags."""

from collections.abc import Mapping as MappingType
from collections.abc import Sequence

from mindmlm.config.aliases import canonical_path, place_value
from mindmlm.config.describe import keys
from mindmlm.config.flags import FLAGS_BY_NAME
from mindmlm.config.nodes import Mapping, Node, Scalar, find, from_python, merge
from mindmlm.config.problems import nearest, one_line
from mindmlm.config.yaml_source import parse_yaml
from mindmlm.errors import ConfigError

COMMAND_LINE = "command line"


def option_layer(
    options: Sequence[str], dotted: MappingType[str, str]
) -> tuple[Mapping, list[str]]:
    """Build the layer of `--options` and `--a.b.c`; both have the same precedence.

    Parameters: `options`, texts `KEY=VALUE` (a key given again replaces the first); `dotted`, key
    to value text. Returns the layer and a line per contradiction. Raises ConfigError for a text
    that is not KEY=VALUE, or whose value is not valid YAML.
    """
    layer, lines = Mapping(COMMAND_LINE), []
    by_key: dict[str, Node] = {}
    for option in options:
        path, value = _split_option(option)
        by_key[path] = parse_value(path, value, one_line(f"--options {option}"))
    for path, node in by_key.items():
        lines += _place(layer, path, node)
    for path, value in dotted.items():
        lines += _place(layer, path, parse_value(path, value, one_line(f"--{path}")))
    return layer, lines


def flag_layer(flags: MappingType[str, object], run_mode: str) -> tuple[Mapping, list[str]]:
    """Build the layer of the named flags; a flag whose value is None was not given.

    Text is read like a value on the command line, any other value is taken as it is.
    """
    layer, lines = Mapping(COMMAND_LINE), []
    for name, value in flags.items():
        if name not in FLAGS_BY_NAME:
            raise ConfigError(f"--{name}: unknown flag{nearest(name, FLAGS_BY_NAME)}")
        if value is None:
            continue
        path = FLAGS_BY_NAME[name].target(run_mode)
        lines += _place(layer, path, _flag_node(path, value, f"--{name}"))
    return layer, lines


def parse_value(path: str, text: str, place: str) -> Node:
    """Read the text of a value as YAML, unless the key holds text: then it stays as it is."""
    key = keys().get(canonical_path(path))
    if key is not None and key.is_text:
        return Scalar(text, place)
    return parse_yaml(text, place)


def _split_option(option: str) -> tuple[str, str]:
    path, equals, value = option.partition("=")
    if not equals or not all(path.split(".")):
        raise ConfigError(
            f"--options {option}: expected KEY=VALUE, for example "
            "lr_schedule.learning_rate=1e-4 (quote a value that has spaces)"
        )
    return path, value


def _place(layer: Mapping, path: str, node: Node) -> list[str]:
    present = find(layer, path)
    if isinstance(present, Mapping) and isinstance(node, Mapping):
        merged = merge(present, node)
        present.entries.update(merged.entries)
        return []
    return place_value(layer, path, node, path)


def _flag_node(path: str, value: object, place: str) -> Node:
    if isinstance(value, str):
        return parse_value(path, value, place)
    return from_python(value, place)
