"""Safe YAML with line numbers and limits.

The text is composed to YAML nodes, never constructed, so no tag can make an object. Plain values
are read as in YAML 1.2 where YAML 1.1 surprises: `1e-4` is a number; `010` is text (an integer
field then refuses it, instead of reading 8); `12:30` and dates are text. `yes/no/on/off` stay
booleans, because MindFormers' users write them. A key given twice in one mapping is an error.
"""

import re
from pathlib import Path

import yaml

from mindmlm.config.nodes import Mapping, Node, Scalar, Sequence
from mindmlm.errors import ConfigError

MAX_BYTES = 1_000_000
MAX_DEPTH = 32
MAX_NODES = 50_000

_TAG = "tag:yaml.org,2002:"
_BOOLEAN = re.compile(r"(?i:true|false|yes|no|on|off)\Z")
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*(?:_[0-9]+)*)\Z")
_FLOAT = re.compile(
    r"""[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?\Z
      | [-+]?\.(?i:inf)\Z | \.(?i:nan)\Z""",
    re.VERBOSE,
)
_NULL = re.compile(r"(?:~|null|Null|NULL|)\Z")


class _Resolver(yaml.resolver.BaseResolver):
    """Which plain scalars are booleans, numbers and null; the order decides."""


for _name, _pattern in (
    ("bool", _BOOLEAN),
    ("int", _INTEGER),
    ("float", _FLOAT),
    ("null", _NULL),
):
    _Resolver.add_implicit_resolver(_TAG + _name, _pattern, None)


class _Composer(
    yaml.reader.Reader,
    yaml.scanner.Scanner,
    yaml.parser.Parser,
    yaml.composer.Composer,
    _Resolver,
):
    """PyYAML's reader up to the composed nodes, without a constructor."""

    def __init__(self, text: str) -> None:
        yaml.reader.Reader.__init__(self, text)
        yaml.scanner.Scanner.__init__(self)
        yaml.parser.Parser.__init__(self)
        yaml.composer.Composer.__init__(self)
        _Resolver.__init__(self)


def read_yaml(path: Path, shown: str | None = None) -> Mapping:
    """Read a YAML file whose top level is a mapping.

    Parameters: `path`, the file (UTF-8, at most `MAX_BYTES`); `shown`, its name in origins and
    errors (default: the path). Raises ConfigError naming file and line.
    """
    shown = shown if shown is not None else str(path)
    root = parse_yaml(_read_text(path, shown), shown, lines=True)
    if isinstance(root, Scalar) and root.value is None:
        return Mapping(shown)
    if not isinstance(root, Mapping):
        raise ConfigError(f"{shown}:1: expected `key: value` lines at the top level")
    return root


def parse_yaml(text: str, place: str, lines: bool = False) -> Node:
    """Parse one YAML document to nodes whose origin is `place` (with `:LINE` when `lines`).

    Raises ConfigError for a syntax error, a repeated key, a cycle, an unknown tag, or more than
    `MAX_DEPTH` levels or `MAX_NODES` values (aliases counted each time they are used).
    """
    try:
        _check_depth(text, place)
        composer = _Composer(text)
        root = composer.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{place}:{mark.line + 1}" if lines and mark else place
        raise ConfigError(f"{where}: not valid YAML: {error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{place}: not valid YAML: {' '.join(str(error).split())}") from None
    if root is None:
        return Scalar(None, place)
    return _Converter(place, lines).convert(root)


def _read_text(path: Path, shown: str) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError(f"{shown}: no such file") from None
    except OSError as error:
        raise ConfigError(f"{shown}: cannot be read: {error.strerror}") from None
    if len(content) > MAX_BYTES:
        raise ConfigError(f"{shown}: larger than {MAX_BYTES} bytes; a configuration is not")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{shown}:{line}: not UTF-8 (byte {error.start})") from None


def _check_depth(text: str, place: str) -> None:
    """Refuse deep nesting before composing, which recurses."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            raise ConfigError(f"{place}: nested deeper than {MAX_DEPTH} levels")


class _Converter:
    """Turns composed YAML nodes into ours, counting and looking for cycles."""

    def __init__(self, place: str, lines: bool) -> None:
        self.place = place
        self.lines = lines
        self.count = 0
        self.open: set[int] = set()

    def convert(self, node: yaml.Node) -> Node:
        self.count += 1
        if self.count > MAX_NODES:
            raise self.error(node, f"more than {MAX_NODES} values (aliases included)")
        if isinstance(node, yaml.ScalarNode):
            return Scalar(self.scalar(node), self.origin(node))
        if id(node) in self.open:
            raise self.error(node, "an alias points at a value that contains it")
        self.open.add(id(node))
        converted = self.collection(node)
        self.open.discard(id(node))
        return converted

    def collection(self, node: yaml.Node) -> Node:
        if isinstance(node, yaml.SequenceNode) and node.tag == _TAG + "seq":
            return Sequence(tuple(self.convert(item) for item in node.value), self.origin(node))
        if not isinstance(node, yaml.MappingNode) or node.tag != _TAG + "map":
            raise self.error(node, f"the tag {node.tag} is not allowed")
        mapping = Mapping(self.origin(node))
        first_lines: dict[str, str] = {}
        for key_node, value_node in node.value:
            key = self.key(key_node)
            if key in first_lines:
                raise self.error(key_node, f"{key}: given twice, first at {first_lines[key]}")
            first_lines[key] = self.origin(key_node)
            value = self.convert(value_node)
            mapping.entries[key] = value
        return mapping

    def key(self, node: yaml.Node) -> str:
        if not isinstance(node, yaml.ScalarNode):
            raise self.error(node, "a key must be a word, not a list or mapping")
        if node.value == "<<" and node.style is None:
            raise self.error(node, "merge keys (<<) are not supported; use base_config")
        return node.value

    def scalar(self, node: yaml.ScalarNode) -> str | int | float | bool | None:
        kind, text = node.tag.removeprefix(_TAG), node.value
        if kind == "null" and _NULL.match(text):
            return None
        if kind == "bool" and _BOOLEAN.match(text):
            return text.lower() in ("true", "yes", "on")
        if kind == "int" and _INTEGER.match(text) and len(text) < 100:
            return int(text.replace("_", ""))
        if kind == "float" and (_FLOAT.match(text) or _INTEGER.match(text)):
            return float(re.sub(r"(?i)\.(inf|nan)", r"\1", text))
        if kind == "str":
            return self.text(node)
        raise self.error(node, f"{text[:60]!r} cannot be read as {node.tag}")

    def text(self, node: yaml.ScalarNode) -> str:
        """Join the surrogate pairs that JSON's `\\u` escapes make; refuse half a pair."""
        try:
            return node.value.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            raise self.error(
                node, "the text holds half a surrogate pair (\\ud800-\\udfff)"
            ) from None

    def origin(self, node: yaml.Node) -> str:
        return f"{self.place}:{node.start_mark.line + 1}" if self.lines else self.place

    def error(self, node: yaml.Node, message: str) -> ConfigError:
        return ConfigError(f"{self.origin(node)}: {message}")
