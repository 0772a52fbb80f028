"""Reads a YAML of MindFormers r0.3 with the files of its `base_config`.

MindFormers merges bases otherwise than we do (r0.3 tools/register/config.py): of two bases the
later one replaces a whole top-level section of the earlier one; only the file itself is merged key
by key over that.
"""

from pathlib import Path

from mindmlm.config.nodes import Mapping, Node, Scalar, Sequence, merge
from mindmlm.config.yaml_source import read_yaml
from mindmlm.errors import ConfigError

MAX_DEPTH = 16
_MONITORS = ("callbacks", "eval_callbacks")


def read_old(path: Path, depth: int = 0) -> Mapping:
    """Return the merged tree of a file and its bases.

    Raises:
        ConfigError: a file is missing or malformed, or the files name each other in a circle.
    """
    if depth > MAX_DEPTH:
        raise ConfigError(f"{path}: base_config: more than {MAX_DEPTH} levels (a circle?)")
    layer = read_yaml(path, str(path))
    below = Mapping(str(path))
    for base in _bases(layer):
        below.entries.update(read_old(path.parent / base, depth + 1).entries)
    return merge(below, layer)


def leaves(tree: Mapping) -> dict[str, Node]:
    """Return every value by its dotted path; lists are values.

    `callbacks: [{type: X, key: v}]` becomes `callbacks.X.key`, and `callbacks.X` for an entry that
    has a type only.
    """
    found: dict[str, Node] = {}

    def walk(node: Node, path: str) -> None:
        if isinstance(node, Mapping) and node.entries:
            for key, value in node.entries.items():
                walk(value, f"{path}.{key}" if path else key)
        elif isinstance(node, Sequence) and path in _MONITORS:
            for item in node.items:
                _walk_monitor(item, path, found)
        elif not isinstance(node, Mapping):
            found[path] = node

    walk(tree, "")
    return found


def _walk_monitor(item: Node, path: str, found: dict[str, Node]) -> None:
    kind = item.entries.get("type") if isinstance(item, Mapping) else None
    if not isinstance(item, Mapping) or not isinstance(kind, Scalar):
        raise ConfigError(f"{item.origin}: {path}: each entry needs a `type: NAME`")
    found[f"{path}.{kind.value}"] = kind
    for key, value in item.entries.items():
        if key != "type":
            found[f"{path}.{kind.value}.{key}"] = value


def _bases(layer: Mapping) -> list[str]:
    node = layer.entries.pop("base_config", None)
    if node is None:
        return []
    items = node.items if isinstance(node, Sequence) else (node,)
    bases = [item.value for item in items if isinstance(item, Scalar)]
    if not all(isinstance(base, str) and base for base in bases):
        raise ConfigError(f"{node.origin}: base_config: expected a list of file names")
    return [str(base) for base in bases]
