"""Which files were copied, and in which state; survives the process that copied them."""

import json
from pathlib import Path

from mindmlm.runtime.files import write_text_atomic


class Ledger:
    """Names of files to the mark (size and time, say) of the copy that was made.

    Args:
        path: a JSON file. One that cannot be read counts as empty: files are copied again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._marks = _read(path)

    def has(self, name: str, mark: str) -> bool:
        """Whether this state of the file was copied."""
        return self._marks.get(name) == mark

    def names(self) -> set[str]:
        """All files that were copied."""
        return set(self._marks)

    def add(self, name: str, mark: str) -> None:
        """Remember a copy, for good.

        Raises:
            OSError: it cannot be written.
        """
        self._marks[name] = mark
        self._write()

    def remove(self, names: set[str]) -> None:
        """Forget copies that are gone.

        Raises:
            OSError: it cannot be written.
        """
        if names & self._marks.keys():
            self._marks = {name: mark for name, mark in self._marks.items() if name not in names}
            self._write()

    def _write(self) -> None:
        write_text_atomic(self._path, json.dumps(self._marks, ensure_ascii=False, indent=0))


def _read(path: Path) -> dict[str, str]:
    try:
        marks = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return marks if isinstance(marks, dict) else {}


def local_mark(path: Path) -> str:
    """Size and time of change of a local file.

    Raises:
        OSError: there is none.
    """
    status = path.stat()
    return f"{status.st_size} {status.st_mtime_ns}"
