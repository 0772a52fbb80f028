"""Flags of the tools that read text, and their texts as values."""

import argparse
import re

from mindmlm.build_data.tool_flags import KeyFlag
from mindmlm.data.sources.base import Slice

_LARGEST_SHARD_MB = 1024


def truth(text: str) -> bool:
    """Return what True, False, 1, 0, yes or no means.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    values = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    if text.lower() not in values:
        raise argparse.ArgumentTypeError(f"{text!r} is neither True nor False")
    return values[text.lower()]


def positive(text: str) -> int:
    """Return a whole number above 0.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number above 0")
    return int(text)


def shard_mb(text: str) -> int:
    """Return the size of a shard in MB, at most 1024.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    if positive(text) > _LARGEST_SHARD_MB:
        raise argparse.ArgumentTypeError(f"{text} is more than {_LARGEST_SHARD_MB}")
    return int(text)


def part(text: str) -> Slice:
    """Return the part that I/N means.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    found = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
    if not found or int(found[1]) >= int(found[2]):
        raise argparse.ArgumentTypeError(f"{text!r}: expected I/N with I from 0 to N - 1")
    return Slice(int(found[1]), int(found[2]))


def probability(text: str) -> float:
    """Return a number from 0 to 1.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value <= 1.0:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 to 1")
    return value


def add_key_flag(group: argparse._ArgumentGroup, flag: KeyFlag) -> None:
    """Add a flag whose values are read as those of its key."""
    explanation = flag.explanation().replace("%", "%%")
    if flag.is_list:
        group.add_argument(
            f"--{flag.name}", nargs="+", action="extend", metavar="X", help=explanation
        )
    elif flag.is_switch:
        group.add_argument(
            f"--{flag.name}", nargs="?", const="True", metavar="True|False", help=explanation
        )
    else:
        group.add_argument(f"--{flag.name}", metavar=flag.sign, help=explanation)
