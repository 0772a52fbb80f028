"""What became of every tensor of a conversion."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

LOADED = "loaded"
TRANSPOSED = "transposed"
DIVIDED = "divided"
TIED = "tied"
LEFT_OUT = "left out"
FRESH = "fresh"
RESIZED = "resized"
NARROWED = "narrowed"
NOT_FINITE = "not finite"
MISSING = "missing"
UNEXPECTED = "unexpected"
WRONG_SHAPE = "wrong shape"

# What stops a conversion, and what a person should see without asking for the whole list.
FAULTS = (MISSING, UNEXPECTED, WRONG_SHAPE)
_SHOWN_ALWAYS = (LEFT_OUT, FRESH, RESIZED, NARROWED, NOT_FINITE, *FAULTS)
_MOST_LINES = 12


@dataclass(frozen=True)
class Line:
    """One tensor: what happened (one of the words above), its name there and here, a remark."""

    what: str
    theirs: str = ""
    ours: str = ""
    note: str = ""

    def text(self) -> str:
        """Return the line for people."""
        names = " -> ".join(name for name in (self.theirs, self.ours) if name)
        return f"{self.what}: {names}" + (f" ({self.note})" if self.note else "")


@dataclass
class Report:
    """All lines of a conversion, in the order of what happened."""

    source: str
    format: str
    names: str = ""
    lines: list[Line] = field(default_factory=list)

    def add(self, what: str, theirs: str = "", ours: str = "", note: str = "") -> None:
        """Note what happened to a tensor."""
        self.lines.append(Line(what, theirs, ours, note))

    def of(self, *kinds: str) -> list[Line]:
        """Return the lines that say one of ``kinds``."""
        return [line for line in self.lines if line.what in kinds]

    def counts(self) -> dict[str, int]:
        """Return how many tensors there are of each kind, those that occur."""
        kinds = (LOADED, TRANSPOSED, DIVIDED, TIED, *_SHOWN_ALWAYS)
        return {kind: len(self.of(kind)) for kind in kinds if self.of(kind)}

    def summary(self) -> str:
        """Return one line."""
        parts = ", ".join(f"{count} {kind}" for kind, count in self.counts().items())
        return f"{self.source} ({self.format}, {self.names} names): {parts}"

    def as_text(self, everything: bool = False) -> str:
        """Return the summary and the lines to look at; ``everything`` lists each tensor."""
        return "\n".join([self.summary(), *self._shown(everything)])

    def _shown(self, everything: bool) -> Iterator[str]:
        if everything:
            yield from (f"  {line.text()}" for line in self.lines)
            return
        for kind in _SHOWN_ALWAYS:
            yield from (f"  {text}" for text in shortened([x.text() for x in self.of(kind)]))

    def as_dict(self) -> dict[str, Any]:
        """Return everything in JSON's types."""
        return {
            "source": self.source,
            "format": self.format,
            "names": self.names,
            "counts": self.counts(),
            "tensors": [line.__dict__ for line in self.lines],
        }


def shortened(lines: list[str]) -> list[str]:
    """Return at most a dozen lines, the last of which counts the rest."""
    if len(lines) <= _MOST_LINES:
        return lines
    return [*lines[: _MOST_LINES - 1], f"... and {len(lines) - _MOST_LINES + 1} more"]
