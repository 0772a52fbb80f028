"""The texts of flags of `tools/build_dataset.py` as values."""

import argparse
import re

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
