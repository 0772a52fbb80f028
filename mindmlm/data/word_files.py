"""Small files of words: terms, synonyms, antonyms, word vectors."""

from collections.abc import Iterator
from pathlib import Path

from mindmlm.errors import DataError


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (line number, text) of the lines that hold something; `#` alone begins a comment.

    Raises:
        DataError: unreadable, not UTF-8, or no line holds anything. The message names the line.
    """
    line = 0
    found = False
    try:
        with path.open("rb") as file:
            for line, content in enumerate(file, start=1):
                text = content.decode("utf-8-sig" if line == 1 else "utf-8").strip("\r\n")
                if text.strip() and not text.startswith("# "):
                    found = True
                    yield line, text
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path}:{line}: not UTF-8 ({error.reason})") from None
    if not found:
        raise DataError(f"{path}: holds no words")
