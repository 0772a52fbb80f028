"""Amounts of memory as people write them: "31GB"."""

import re
from typing import Annotated

from pydantic import AfterValidator

# As in MindSpore, whose "GB" are 2**30 bytes.
_UNITS = {"MB": 2**20, "GB": 2**30, "TB": 2**40}
_AMOUNT = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([MGT])I?B", re.IGNORECASE)


def parse_memory(text: str) -> int:
    """Return the bytes that `text` means.

    Args:
        text: a number and MB, GB or TB (or MiB ...), such as "31GB" or "1.5 TB"; each unit is
            1024 times the one before it.

    Raises:
        ValueError: it is something else, or less than 1 MB.
    """
    match = _AMOUNT.fullmatch(text.strip())
    size = int(float(match[1]) * _UNITS[f"{match[2].upper()}B"]) if match else 0
    if size < _UNITS["MB"]:
        raise ValueError('an amount of memory is a number and a unit, such as "31GB" or "512MB"')
    return size


def show_memory(size: float) -> str:
    """Return `size` bytes in words: "31.0 GB"."""
    unit = next((name for name in ("TB", "GB") if size >= _UNITS[name]), "MB")
    return f"{size / _UNITS[unit]:.1f} {unit}"


def _check(text: str) -> str:
    parse_memory(text)
    return text


MemoryText = Annotated[str, AfterValidator(_check)]
