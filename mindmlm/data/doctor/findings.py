"""Places of what was found: counted all, shown a few."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Findings:
    """Counts by kind, with the first places of each.

    Attributes:
        examples: places kept of each kind.
        counts: kind -> how often.
        places: kind -> ``file:line`` with a remark, the first few.
    """

    examples: int
    counts: dict[str, int] = field(default_factory=dict)
    places: dict[str, list[str]] = field(default_factory=dict)

    def add(self, kind: str, place: str) -> None:
        """Count one."""
        self.counts[kind] = self.counts.get(kind, 0) + 1
        shown = self.places.setdefault(kind, [])
        if len(shown) < self.examples:
            shown.append(place)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            kind: {"count": count, "places": self.places[kind]}
            for kind, count in sorted(self.counts.items())
        }


@dataclass
class Histogram:
    """Sizes in classes of powers of two.

    Attributes:
        classes: exponent k -> number of sizes from 2**k to 2**(k + 1) - 1.
        number, total: how many sizes, and their sum.
        largest, place: the largest size and where it is.
    """

    classes: dict[int, int] = field(default_factory=dict)
    number: int = 0
    total: int = 0
    largest: int = 0
    place: str = ""

    def add(self, size: int, place: str) -> None:
        """Count one size, at least 1."""
        exponent = size.bit_length() - 1
        self.classes[exponent] = self.classes.get(exponent, 0) + 1
        self.number += 1
        self.total += size
        if size > self.largest:
            self.largest, self.place = size, place

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "mean": self.total / self.number if self.number else None,
            "largest": {"size": self.largest, "place": self.place} if self.number else None,
            "histogram": [
                {"from": 1 << k, "to": (2 << k) - 1, "lines": self.classes[k]}
                for k in sorted(self.classes)
            ],
        }
