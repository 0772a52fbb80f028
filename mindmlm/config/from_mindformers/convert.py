"""The conversion of a whole file, and its report."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mindmlm.config.describe import keys
from mindmlm.config.from_mindformers.changes import ADDED, KEPT, Change, Conversion
from mindmlm.config.from_mindformers.data_rules import data_rules
from mindmlm.config.from_mindformers.model_rules import model_rules
from mindmlm.config.from_mindformers.old_yaml import leaves, read_old
from mindmlm.config.from_mindformers.run_rules import run_rules
from mindmlm.config.from_mindformers.training_rules import training_rules
from mindmlm.config.nodes import Mapping, from_python, put
from mindmlm.config.problems import nearest
from mindmlm.config.render import render_value


@dataclass(frozen=True)
class Converted:
    """A converted file.

    Attributes:
        values: the new values by dotted path.
        changes: what became of each old key, and what was added, in the order of the new file.
    """

    values: dict[str, Any]
    changes: tuple[Change, ...]

    def yaml(self) -> str:
        """The new file; a comment says where a value comes from, unless it is the same."""
        by_key = {change.new: change for change in self.changes if change.new}
        return "\n".join([*_lines(self.values, by_key), ""])

    def layer(self) -> Mapping:
        """The new values for `load_config`; errors then name the lines of the old file."""
        places = {change.new: change.place for change in self.changes}
        tree = Mapping("")
        for path, value in self.values.items():
            put(tree, path, from_python(value, places.get(path) or "added by the conversion"))
        return tree

    def report(self) -> list[str]:
        """One line for every key that is not simply kept."""
        return [_line(change) for change in self.changes if change.kind != KEPT or change.why]


def convert(path: Path) -> Converted:
    """Convert a YAML of MindFormers r0.3 with its bases.

    Raises:
        ConfigError: a file is missing or malformed, or the run would be another one than before;
            the message names file, line and key.
    """
    old = Conversion(leaves(read_old(path)))
    run_rules(old)
    model_rules(old)
    data_rules(old)
    training_rules(old)
    for name in old.left():
        if name in keys():
            old.keep(name, why="a key of mindmlm already")
        else:
            hint = nearest(name, keys())
            old.unknown(name, f"no key of r0.3's BERT, GPT-2 or question answering{hint}")
    order = {name: place for place, name in enumerate(keys())}
    values = dict(sorted(old.values.items(), key=lambda item: order.get(item[0], len(order))))
    return Converted(values, tuple(old.changes))


def _line(change: Change) -> str:
    where = f"{change.place}: " if change.place else ""
    if change.kind == ADDED:
        what = f"{change.new}: {render_value(change.after)}"
    elif not change.new:
        what = f"{change.old}: {_shown(change.before)}"
    elif change.kind == KEPT:
        what = f"{change.new}: {_shown(change.after)}"
    elif change.old == change.new:
        what = f"{change.new}: {_shown(change.before)} -> {render_value(change.after)}"
    else:
        what = f"{change.old} -> {change.new}: {render_value(change.after)}"
    return f"{change.kind:8} {where}{what}" + (f"  ({change.why})" if change.why else "")


def _shown(value: object) -> str:
    return "[...]" if isinstance(value, list | dict) else render_value(value)


def _lines(values: dict[str, Any], changes: dict[str, Change]) -> Iterator[str]:
    tree: dict[str, Any] = {}
    for path, value in values.items():
        *sections, last = path.split(".")
        section = tree
        for name in sections:
            section = section.setdefault(name, {})
        section[last] = value
    return _section(tree, "", changes)


def _section(tree: dict[str, Any], prefix: str, changes: dict[str, Change]) -> Iterator[str]:
    indent = "  " * prefix.count(".")
    for name, value in tree.items():
        path = prefix + name
        if isinstance(value, dict):
            yield f"{indent}{name}:"
            yield from _section(value, path + ".", changes)
        else:
            yield f"{indent}{name}: {render_value(value)}{_comment(changes.get(path))}"


def _comment(change: Change | None) -> str:
    if change is None or change.kind == KEPT:
        return ""
    if change.kind == ADDED:
        return f"  # {change.why}"
    return f"  # {change.old}" + (f": {_shown(change.before)}" if change.old == change.new else "")
