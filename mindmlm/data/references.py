"""Word ids made elsewhere: for every line of text, which of its tokens continue a word."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mindmlm.errors import DataError


class ReferenceLines:
    """The lines of a reference file, taken in the order of the text's lines.

    The format is that of Hugging Face's `run_chinese_ref.py`: a JSON list a line, for every line
    of the text that is not blank; it holds the places of tokens that continue the word before
    them, [CLS] being place 0.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines = self._read()
        self._number = 0

    def _read(self) -> Iterator[list[int]]:
        try:
            with self._path.open("rb") as file:
                for content in file:
                    self._number += 1
                    yield self._parse(content)
        except OSError as error:
            raise DataError(f"{self._path}: cannot be read: {error.strerror}") from None

    def _parse(self, content: bytes) -> list[int]:
        try:
            places = json.loads(content)
        except ValueError:
            places = None
        if not isinstance(places, list) or not all(type(place) is int for place in places):
            raise DataError(
                f"{self._path}:{self._number}: expected a JSON list of token places, "
                f"for example [2, 5, 6], got {content[:40]!r}"
            )
        return places

    def take(self, count: int) -> list[list[int]]:
        """Return the next ``count`` lines.

        Raises:
            DataError: there are fewer, or one is no list of integers.
        """
        taken = []
        for _ in range(count):
            places = next(self._lines, None)
            if places is None:
                raise DataError(
                    f"{self._path}: ends after line {self._number}, but the text has more lines; "
                    "it needs one for every line of the text that is not blank"
                )
            taken.append(places)
        return taken

    def skip(self, count: int) -> None:
        """Pass over ``count`` lines that an earlier run has used.

        Raises:
            DataError: see `take`.
        """
        for _ in range(count):
            self.take(1)

    def expect_end(self) -> None:
        """Check that every line was taken.

        Raises:
            DataError: there are more lines than the text has.
        """
        if next(self._lines, None) is not None:
            raise DataError(
                f"{self._path}:{self._number}: the text has only {self._number - 1} lines that are "
                "not blank; the file belongs to another text"
            )


def reference_state(path: Path) -> list[object]:
    """Return values that change when the file does; a part of cache keys.

    Raises:
        DataError: the file is not there.
    """
    try:
        stat = path.stat()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    return [str(path.resolve()), stat.st_size, stat.st_mtime_ns]


def reference_starts(continuation: np.ndarray, places: list[int]) -> np.ndarray | None:
    """Return bool [n] "a word begins here"; None when a place is beyond the tokens.

    Args:
        continuation: bool [n], the token is a ``##`` piece; it always continues a word.
        places: of one line, counted from [CLS] = 0.
    """
    starts = ~continuation
    if places and not 1 <= min(places) <= max(places) <= len(starts):
        return None
    starts[np.array(places, np.int64) - 1] = False
    starts[:1] = True
    return starts
