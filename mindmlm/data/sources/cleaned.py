"""A source whose documents are cleaned as they pass."""

import unicodedata
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from mindmlm.data.report import ReadReport
from mindmlm.data.sources.base import WHOLE, Document, Position, Slice, Source
from mindmlm.data.sources.cleaning import STEPS, joined_lines

_SHORT = "line shorter than min_line_characters"
_LONG = "line longer than max_line_characters"


@dataclass(frozen=True)
class Cleaning:
    """What is done to every document, in this order.

    Attributes:
        steps: names of `STEPS`.
        join_lines_up_to: neighbouring lines of a document (those that ``sentences`` made) are
            joined up to this many characters; None = they stay.
        min_line_characters, max_line_characters: other lines are left out and counted.
    """

    steps: tuple[str, ...] = ()
    join_lines_up_to: int | None = None
    min_line_characters: int = 0
    max_line_characters: int | None = None

    def lines(self, document: Document) -> list[str]:
        """Return the lines of a document after the steps, blank ones dropped."""
        text = "\n".join(document.lines)
        for name in self.steps:
            text = STEPS[name](text)
        lines = [line for line in map(str.strip, text.split("\n")) if line]
        if self.join_lines_up_to is None:
            return lines
        return list(joined_lines(lines, self.join_lines_up_to))

    def fault(self, line: str) -> str | None:
        """Return why a line is left out; None when it is not."""
        if len(line) < self.min_line_characters:
            return _SHORT
        if self.max_line_characters is not None and len(line) > self.max_line_characters:
            return _LONG
        return None


@dataclass(frozen=True)
class CleanedSource(Source):
    """Another source, cleaned; positions, slices and bytes are those of the other.

    Attributes:
        source: gives the documents.
        cleaning: see `Cleaning`.
    """

    source: Source
    cleaning: Cleaning

    @property
    def name(self) -> str:
        """The name of the other source."""
        return self.source.name

    def documents(
        self, report: ReadReport, part: Slice = WHOLE, start: Position | None = None
    ) -> Iterator[tuple[Position, Document]]:
        """Stream what is left of the documents; see `Source.documents`."""
        for position, document in self.source.documents(report, part, start):
            kept = []
            for line in self.cleaning.lines(document):
                if reason := self.cleaning.fault(line):
                    report.skip(reason, self.source.place(position))
                else:
                    kept.append(line)
            if kept:
                yield position, Document(tuple(kept))

    def place(self, position: Position) -> str:
        """Return the place in the other source."""
        return self.source.place(position)

    def identity(self) -> dict[str, Any]:
        """Return the other source's identity and the steps."""
        unicode = unicodedata.unidata_version
        cleaning = {**asdict(self.cleaning), "unicode": unicode}
        return {"source": self.source.identity(), "cleaning": cleaning}

    def size_bytes(self) -> int | None:
        """Return the size of the other source."""
        return self.source.size_bytes()


def cleaned(source: Source, cleaning: Cleaning) -> Source:
    """Return the source as it is when there is nothing to clean."""
    return source if cleaning == Cleaning() else CleanedSource(source, cleaning)
