"""Configuration values that remember where they were written.

Three kinds of node mirror YAML's; every node has an `origin`, the place to show in an error:
`FILE:LINE` or the command-line flag.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Scalar:
    """One value: text, number, boolean or None."""

    value: str | int | float | bool | None
    origin: str


@dataclass(frozen=True)
class Sequence:
    """A list."""

    items: tuple[Node, ...]
    origin: str


@dataclass
class Mapping:
    """A section: keys in the order in which they were written."""

    origin: str
    entries: dict[str, Node] = field(default_factory=dict)


Node = Scalar | Sequence | Mapping


def to_python(node: Node) -> object:
    """Return plain dicts, lists and scalars without the origins."""
    if isinstance(node, Mapping):
        return {key: to_python(value) for key, value in node.entries.items()}
    if isinstance(node, Sequence):
        return [to_python(item) for item in node.items]
    return node.value


def from_python(value: object, origin: str) -> Node:
    """Return `value` (dicts, lists, scalars) as nodes that all have the same origin."""
    if isinstance(value, dict):
        return Mapping(origin, {key: from_python(item, origin) for key, item in value.items()})
    if isinstance(value, (list, tuple)):
        return Sequence(tuple(from_python(item, origin) for item in value), origin)
    if value is None or isinstance(value, (str, int, float, bool)):
        return Scalar(value, origin)
    raise TypeError(f"a configuration cannot hold a {type(value).__name__}")


def merge(low: Mapping, high: Mapping) -> Mapping:
    """Return `low` overlaid with `high`: sections key by key, anything else replaced whole."""
    merged = dict(low.entries)
    for key, value in high.entries.items():
        below = merged.get(key)
        both_sections = isinstance(below, Mapping) and isinstance(value, Mapping)
        merged[key] = merge(below, value) if both_sections else value  # type: ignore[arg-type]
    return Mapping(high.origin, merged)


def find(root: Mapping, path: str) -> Node | None:
    """Return the node at the dotted `path`, or None."""
    node: Node = root
    for key in path.split("."):
        if not isinstance(node, Mapping) or key not in node.entries:
            return None
        node = node.entries[key]
    return node


def pop(root: Mapping, path: str) -> Node | None:
    """Take the node at the dotted `path` out of the tree; None when there is none."""
    section, _, key = path.rpartition(".")
    parent = find(root, section) if section else root
    return parent.entries.pop(key, None) if isinstance(parent, Mapping) else None


def put(root: Mapping, path: str, node: Node) -> bool:
    """Set the node at the dotted `path`, making the sections on the way.

    Returns False, with the tree unchanged, when a value stands where a section is needed.
    """
    *sections, last = path.split(".")
    parent: Node = root
    for key in sections:
        if not isinstance(parent, Mapping):
            return False
        parent = parent.entries.setdefault(key, Mapping(node.origin))
    if not isinstance(parent, Mapping):
        return False
    parent.entries[last] = node
    return True


def origin_of(root: Mapping, path: str) -> str:
    """Return the origin of the deepest node that exists on the way to the dotted `path`."""
    node: Node = root
    for key in path.split("."):
        if not isinstance(node, Mapping) or key not in node.entries:
            break
        node = node.entries[key]
    return node.origin
