"""The resolved configuration as YAML with origins, and as plain data."""

import re
from typing import Any

from mindmlm.config.loader import LoadedConfig
from mindmlm.config.nodes import Scalar
from mindmlm.config.problems import one_line
from mindmlm.config.schema import RunConfig
from mindmlm.config.yaml_source import parse_yaml

_PLAIN_TEXT = re.compile(r"[A-Za-z_./][A-Za-z0-9_./-]*\Z")


def to_plain(config: RunConfig) -> dict[str, Any]:
    """Return the configuration as nested dicts with canonical keys, fit for JSON.

    `RunConfig.model_validate(to_plain(config)) == config`.
    """
    return config.model_dump(by_alias=True)


def render(loaded: LoadedConfig) -> str:
    """Return the configuration as YAML in which a comment names the origin of each value.

    Loading the text gives an equal configuration.
    """
    lines: list[str] = []
    _render_section(to_plain(loaded.config), "", loaded.origins, lines)
    return "\n".join(lines) + "\n"


def _render_section(
    section: dict[str, Any], prefix: str, origins: dict[str, str], lines: list[str]
) -> None:
    indent = "  " * prefix.count(".")
    for key, value in section.items():
        path = prefix + key
        if isinstance(value, dict):
            lines.append(f"{indent}{key}:")
            _render_section(value, path + ".", origins, lines)
        else:
            origin = one_line(origins[path])
            lines.append(f"{indent}{key}: {render_value(value)}  # {origin}")


def render_value(value: object) -> str:
    """Return a scalar, or a list of texts or integers, on one line of YAML."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, float):
        return _render_float(value)
    if isinstance(value, list):
        items = (str(item) if type(item) is int else _quote(str(item)) for item in value)
        return f"[{', '.join(items)}]"
    return _render_text(value) if isinstance(value, str) else str(value)


def _render_float(value: float) -> str:
    """Write 1e-05 as 1.0e-05, which YAML 1.1 readers also take for a number."""
    mantissa, exponent, power = repr(value).partition("e")
    if exponent and "." not in mantissa:
        mantissa += ".0"
    return mantissa + exponent + power


def _render_text(text: str) -> str:
    if _PLAIN_TEXT.match(text) and parse_yaml(text, "") == Scalar(text, ""):
        return text
    return _quote(text)


def _quote(text: str) -> str:
    """Return double-quoted YAML; everything that is not printable is escaped."""
    escaped = "".join(
        f"\\{character}"
        if character in '"\\'
        else character
        if character.isprintable()
        else f"\\U{ord(character):08x}"
        for character in text
    )
    return f'"{escaped}"'
