"""Problems with a configuration, as lines a person can act on.

A line reads `PLACE: key.path: what is wrong; what is allowed; the nearest name`, where PLACE is
`FILE:LINE` or the command-line flag that gave the value.
"""

import difflib
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pydantic import ValidationError

from mindmlm.config.aliases import ALIASES
from mindmlm.config.database_url import without_passwords
from mindmlm.config.describe import Key, keys, kinds, sections
from mindmlm.config.nodes import Mapping, find, origin_of
from mindmlm.errors import ConfigError

_SHOWN_CHARACTERS = 60


class Problem(NamedTuple):
    """What is wrong with the value of one key."""

    path: str
    message: str


def nearest(word: str, candidates: Iterable[str]) -> str:
    """Return "; did you mean X?" for the candidate closest in spelling, or ''."""
    by_lower = {candidate.lower(): candidate for candidate in candidates}
    close = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return f"; did you mean {by_lower[close[0]]}?" if close else ""


def raise_problems(lines: Sequence[str]) -> None:
    """Raise one ConfigError with every line, when there is a line."""
    if lines:
        raise ConfigError("\n".join(lines))


def validation_problems(error: ValidationError) -> list[Problem]:
    """Turn pydantic's findings into problems: one per key, in our own words."""
    found: dict[str, Problem] = {}
    for item in error.errors(include_url=False):
        path, message = _explain(item["type"], item["loc"], item["input"], item["msg"])
        found.setdefault(path, Problem(path, message))
    return list(found.values())


def format_problems(problems: Iterable[Problem], tree: Mapping, file: str) -> list[str]:
    """Put the place in front of each problem; `file` stands for keys that were not written."""
    lines = []
    for problem in problems:
        written = find(tree, problem.path) is not None
        place = origin_of(tree, problem.path) if written else file
        line = without_passwords(f"{place}: {problem.path}: {problem.message}")
        lines.append(one_line(line))
    return lines


def one_line(text: str) -> str:
    """Return the text with a ? for each character that is not printable, line breaks included."""
    return "".join(character if character.isprintable() else "?" for character in text)


def show(value: object) -> str:
    """Return a value as it would be written in YAML, cut to a readable length."""
    if value is None:
        return "null"
    if isinstance(value, dict):
        return f"a section with the keys {', '.join(map(str, value))}"[:_SHOWN_CHARACTERS]
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 3] + "..."


def _explain(
    kind: str, location: tuple[int | str, ...], value: object, message: str
) -> tuple[str, str]:
    """Return the key path of a pydantic error and its sentence."""
    # pydantic names the kind of a section in the middle of the path.
    kinds_here = [part for part in location if part in kinds()]
    path = ".".join(str(part) for part in location if part not in kinds_here)
    if kind == "extra_forbidden":
        return path, _unknown_key(path, *kinds_here)
    if kind.startswith("union_tag") and isinstance(value, dict):
        return f"{path}.type", _wrong_value(keys()[f"{path}.type"], value.get("type"), "")
    leaf = _longest_known(path, keys())
    if leaf is not None:
        reason = message.removeprefix("Value error, ") if kind == "value_error" else ""
        return leaf, _wrong_value(keys()[leaf], value, reason)
    section = _longest_known(path, sections()) or path
    names = ", ".join(sections().get(section, ()))
    return section, f"expected a section with the keys {names}; got {show(value)}"


def _longest_known(path: str, known: Iterable[str]) -> str | None:
    """Return the longest prefix of `path` that is known; pydantic adds a union's arm at the end."""
    parts = path.split(".")
    table = set(known)
    for length in range(len(parts), 0, -1):
        if ".".join(parts[:length]) in table:
            return ".".join(parts[:length])
    return None


def _unknown_key(path: str, kind: str = "") -> str:
    section, _, name = path.rpartition(".")
    siblings = kinds().get(kind, ()) or sections().get(section, ())
    hint = nearest(name, siblings)
    if not hint:
        elsewhere = [
            key for key in (*keys(), *(a.path for a in ALIASES)) if key.endswith("." + name)
        ]
        hint = f"; did you mean {elsewhere[0]}?" if elsewhere else nearest(path, keys())
    return f"unknown key; allowed here: {', '.join(siblings)}{hint}"


def _wrong_value(key: Key, value: object, reason: str) -> str:
    sentence = f"expected {key.allowed}, got {show(value)}"
    if reason:
        return f"{sentence}: {reason}"
    if key.choices and isinstance(value, str):
        known = (*(str(choice) for choice in key.choices), *key.spellings.accepted)
        return sentence + nearest(value, known)
    return sentence + _hint_about_quotes(key, value)


def _hint_about_quotes(key: Key, value: object) -> str:
    if key.is_text and not isinstance(value, (str, list, dict)):
        return " (write it in quotes)"
    if isinstance(value, str) and re.fullmatch(r"[-+]?0[0-9_]+", value):
        return " (a number must not begin with 0)"
    if isinstance(value, str) and re.fullmatch(r"[-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?", value):
        return " (remove the quotes)"
    return ""
