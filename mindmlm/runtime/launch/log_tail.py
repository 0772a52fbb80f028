"""The end of a log that says why a process failed."""

import re
from pathlib import Path

LINES = 12
_READ_BYTES = 64 * 1024
_TRACEBACK = "Traceback (most recent call last)"
# MindSpore ends its exceptions with the place in its C++ sources, which tells a user nothing, and
# prints records of its own that are no errors.
_CPP_PLACE = re.compile(r"-{10,}\n- C\+\+ Call Stack[^\n]*\n-{10,}\n(?:[^\n]+\n)*")
_NO_ERROR = re.compile(r"\[(INFO|WARNING|DEBUG)\] ")


def error_lines(path: Path, limit: int = LINES) -> list[str]:
    """The last lines of a log that belong to an error.

    From the last traceback on when there is one (its end, where it is longer than `limit`), else
    simply the last lines. Empty when the file is empty or missing.
    """
    text = _CPP_PLACE.sub("", _end_of(path).replace("\r", "\n"))
    lines = [
        line.rstrip()
        for line in text.split("\n")
        if line.strip() and not _NO_ERROR.match(line.lstrip())
    ]
    starts = [number for number, line in enumerate(lines) if line.startswith(_TRACEBACK)]
    return lines[starts[-1] if starts else 0 :][-limit:]


def _end_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - _READ_BYTES))
            return file.read().decode("utf-8", errors="replace")
    except OSError:
        return ""
