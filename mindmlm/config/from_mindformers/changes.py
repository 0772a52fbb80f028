"""What becomes of every key: the record that a conversion keeps."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from mindmlm.config.nodes import Node, to_python
from mindmlm.errors import ConfigError

KEPT, RENAMED, MOVED, CHANGED = "kept", "renamed", "moved", "changed"
DROPPED, ADDED, UNKNOWN = "dropped", "added", "unknown"


@dataclass(frozen=True)
class Change:
    """What became of one key.

    Attributes:
        kind: kept, renamed (another name in its section), moved (to another section), changed
            (another value), dropped, added (a default of MindFormers that is not ours), or
            unknown (MindFormers r0.3 had no such key and ignored it).
        old: dotted path in the old file; empty for an added one.
        new: dotted path in the new one; empty for one that is gone.
        before: the old value.
        after: the new value.
        why: the reason; empty where the key simply went on.
        place: FILE:LINE of the old key.
    """

    kind: str
    old: str
    new: str
    before: Any
    after: Any
    why: str
    place: str


class Conversion:
    """The old keys, the new ones, and what became of which.

    Args:
        leaves: the old values by dotted path.
    """

    def __init__(self, leaves: Mapping[str, Node]) -> None:
        self._leaves = dict(leaves)
        self._open = dict(leaves)
        self.changes: list[Change] = []
        self.values: dict[str, Any] = {}

    def value(self, path: str, default: Any = None) -> Any:
        """The old value, whether it has been dealt with or not."""
        return to_python(self._leaves[path]) if path in self._leaves else default

    def has(self, path: str) -> bool:
        """Whether the old file has the key."""
        return path in self._leaves

    def place(self, path: str) -> str:
        """FILE:LINE of an old key."""
        return self._leaves[path].origin

    def refuse(self, path: str, why: str) -> ConfigError:
        """The error for a key without which the run would be another one."""
        return ConfigError(f"{self.place(path)}: {path}: {why}")

    def left(self) -> list[str]:
        """Old keys that nothing has been said about."""
        return list(self._open)

    def keep(
        self,
        path: str,
        to: str = "",
        why: str = "",
        read: Callable[[Any], Any] | None = None,
    ) -> None:
        """Take a key over, under the name `to` and with the value `read(old)` where given."""
        if path not in self._open:
            return
        node, target = self._open.pop(path), to or path
        before = to_python(node)
        after = read(before) if read else before
        same_section = path.rpartition(".")[0] == target.rpartition(".")[0]
        kind = KEPT if target == path else RENAMED if same_section else MOVED
        if after != before or type(after) is not type(before):
            kind = CHANGED
        if kind == KEPT and read:
            why = ""  # the reason of a change that was not needed
        self.values[target] = after
        self.changes.append(Change(kind, path, target, before, after, why, node.origin))

    def drop(self, path: str, why: str) -> None:
        """Leave a key out, and everything below it."""
        for name in [name for name in self._open if name == path or name.startswith(path + ".")]:
            node = self._open.pop(name)
            self.changes.append(Change(DROPPED, name, "", to_python(node), None, why, node.origin))

    def drop_copy(self, path: str, original: str, why: str) -> None:
        """Leave out what a YAML alias (`*name`) repeats, in one line; what differs stays open."""
        copied = [name for name in self._open if name.startswith(path + ".")]
        same = [
            name
            for name in copied
            if self.value(name) == self.value(original + name.removeprefix(path))
        ]
        for name in same:
            del self._open[name]
        if same:
            place = self.place(same[0])
            self.changes.append(Change(DROPPED, path, "", f"*{original}", None, why, place))

    def drop_each(self, reasons: Mapping[str, str]) -> None:
        """Leave keys out, each with its reason."""
        for path, why in reasons.items():
            self.drop(path, why)

    def keep_each(self, paths: Collection[str]) -> None:
        """Take keys over as they are."""
        for path in paths:
            self.keep(path)

    def add(self, path: str, value: Any, why: str) -> None:
        """Write down a key that the old file did not have, unless it is there by now."""
        if path not in self.values:
            self.values[path] = value
            self.changes.append(Change(ADDED, "", path, None, value, why, ""))

    def unknown(self, path: str, why: str) -> None:
        """Leave out a key that MindFormers did not know."""
        node = self._open.pop(path)
        self.changes.append(Change(UNKNOWN, path, "", to_python(node), None, why, node.origin))
