"""What every source of documents can do, whatever the text lies in."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from mindmlm.data.report import ReadReport

Position = tuple[int | str, ...]
"""Where reading goes on: after the document it came with. Each source has its own form; callers
keep it (as JSON, a list there) and give it back as a tuple."""


@dataclass(frozen=True)
class Document:
    """Lines that belong together; none of them is blank."""

    lines: tuple[str, ...]


@dataclass(frozen=True)
class Slice:
    """One of ``count`` parts of a source that together hold every document exactly once.

    Attributes:
        index: 0 to ``count`` - 1.
        count: number of parts.
    """

    index: int = 0
    count: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.count:
            raise ValueError(f"slice {self.index} of {self.count} does not exist")


WHOLE = Slice()


class Source(ABC):
    """Documents in a fixed order, streamed in bounded memory.

    A source keeps no state between calls: `documents` may be called again (a vocabulary is
    trained on the text before it is encoded) and from several processes.
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """What messages call this source; never with a password or key in it."""

    @abstractmethod
    def documents(
        self, report: ReadReport, part: Slice = WHOLE, start: Position | None = None
    ) -> Iterator[tuple[Position, Document]]:
        """Stream the documents of a part, each with the position behind it.

        Args:
            report: counts what is read and left out (``files``, ``lines``, ``bytes_read``,
                ``skipped``; not ``documents``, which `read_documents` counts).
            part: see `Slice`.
            start: a position that the same part of the same source gave; None = the beginning.

        Raises:
            DataError: the source cannot be read, with the file and line, or the row.
        """

    def place(self, position: Position) -> str:
        """Return in words where the document of a position lies, for messages."""
        return f"{self.name}, behind {', '.join(map(str, position))}"

    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """Return JSON values that change when the documents do; a part of cache keys.

        No secrets: it may be written to disk.

        Raises:
            DataError: the source is not there.
        """

    @abstractmethod
    def size_bytes(self) -> int | None:
        """Return the bytes to read, as ``report.bytes_read`` counts them; None = unknown."""


def read_documents(
    source: Source, report: ReadReport, num_samples: int | None = None, part: Slice = WHOLE
) -> Iterator[Document]:
    """Stream at most ``num_samples`` documents of a part from its beginning (None = all).

    Raises:
        DataError: see `Source.documents`.
    """
    for _, document in islice(source.documents(report, part), num_samples):
        report.documents += 1
        yield document
