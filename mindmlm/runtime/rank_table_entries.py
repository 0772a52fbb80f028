"""The values of a rank table, each with its place, so that every problem can name it."""

import json
import re
from collections.abc import Iterable, Sequence
from ipaddress import ip_address
from typing import Any

from mindmlm.errors import ConfigError

_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?")
_LONGEST_NUMBER = 9
_SHOWN_CHARACTERS = 60


class _Object(dict[str, Any]):
    """A JSON object that remembers the first key which stands in it twice."""

    twice: str | None = None


def _object(pairs: Sequence[tuple[str, Any]]) -> _Object:
    made = _Object()
    for key, value in pairs:
        if key in made and made.twice is None:
            made.twice = key
        made[key] = value
    return made


def parse_json(data: bytes) -> Any:
    """Parse the bytes of a file.

    Raises:
        ConfigError: they are no UTF-8 or no JSON; the message names line and column.
    """
    try:
        return json.loads(data.decode("utf-8-sig"), object_pairs_hook=_object)
    except UnicodeDecodeError as error:
        raise ConfigError(f"not UTF-8 at byte {error.start}; expected a rank table") from None
    except json.JSONDecodeError as error:
        raise ConfigError(
            f"line {error.lineno}, column {error.colno}: not JSON: {error.msg}"
        ) from None
    except (RecursionError, ValueError):
        raise ConfigError(
            "nested too deeply or with numbers too long; expected a rank table"
        ) from None


class Entry:
    """One value of the table and where it stands, for example `server_list[0].server_id`."""

    def __init__(self, where: str, value: Any) -> None:
        self.where = where
        self.value = value

    def problem(self, text: str) -> ConfigError:
        """The error that names this entry."""
        return ConfigError(f"{self.where or 'the table'}: {text}")

    def _shown(self) -> str:
        shown = json.dumps(self.value, ensure_ascii=False)
        return shown if len(shown) <= _SHOWN_CHARACTERS else shown[:_SHOWN_CHARACTERS] + "…"

    def text(self) -> str:
        """The value, a string.

        Raises:
            ConfigError: it is none, or empty.
        """
        if not isinstance(self.value, str):
            raise self.problem(f"expected a string in quotes, got {self._shown()}")
        if not self.value:
            raise self.problem("is empty")
        return self.value

    def number(self) -> int:
        """The value, a string of decimal digits.

        Raises:
            ConfigError: it is something else.
        """
        text = self.text()
        plain = text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER
        if not plain or str(int(text)) != text:
            raise self.problem(f'expected a number from 0 as a string ("3"), got {self._shown()}')
        return int(text)

    def one_of(self, allowed: Sequence[str], why: str = "") -> None:
        """Raise ConfigError unless the value is one of `allowed`."""
        if self.text() not in allowed:
            words = " or ".join(json.dumps(word) for word in allowed)
            raise self.problem(f"expected {words}, got {self._shown()}{why and f' ({why})'}")

    def items(self, what: str) -> list["Entry"]:
        """The items of a list that must not be empty.

        Raises:
            ConfigError: it is no list, or an empty one.
        """
        if not isinstance(self.value, list):
            raise self.problem(f"expected a list of {what}, got {self._shown()}")
        if not self.value:
            raise self.problem(f"has no {what}")
        return [Entry(f"{self.where}[{index}]", item) for index, item in enumerate(self.value)]

    def mapping(self, what: str) -> "Mapping":
        """The value, an object in which no key stands twice.

        Raises:
            ConfigError: it is something else.
        """
        if not isinstance(self.value, _Object):
            raise self.problem(f"expected {what}, got {self._shown()}")
        if self.value.twice is not None:
            raise self.problem(f"the key {self.value.twice!r} stands twice")
        return Mapping(self.where, self.value)

    def check_ip(self) -> None:
        """Raise ConfigError unless the value is an address that one machine can have."""
        try:
            address = ip_address(self.text())
        except ValueError:
            raise self.problem(
                f"expected an IP address such as 192.168.100.101, got {self._shown()}"
            ) from None
        if address.is_unspecified or address.is_multicast or address.is_reserved:
            raise self.problem(f"no machine can be reached at {self._shown()}")

    def check_host(self) -> None:
        """Raise ConfigError unless the value is an IP address (see `check_ip`) or a host name."""
        text = self.text()
        if ":" in text or not text.strip("0123456789."):
            return self.check_ip()
        if len(text) > 253 or not all(_LABEL.fullmatch(label) for label in text.split(".")):
            raise self.problem(f"expected an IP address or a host name, got {self._shown()}")
        return None


class Mapping:
    """An object of the table; `values[key]` raises ConfigError when the key is missing."""

    def __init__(self, where: str, values: dict[str, Any]) -> None:
        self.where = where
        self.values = values

    def get(self, key: str) -> Entry | None:
        """The entry of a key that may be missing."""
        where = f"{self.where}.{key}" if self.where else key
        return Entry(where, self.values[key]) if key in self.values else None

    def __getitem__(self, key: str) -> Entry:
        entry = self.get(key)
        if entry is None:
            there = ", ".join(list(self.values)[:8]) or "nothing"
            raise ConfigError(
                f"{f'{self.where}.{key}' if self.where else key}: is missing (found: {there})"
            )
        return entry

    def others(self, known: Iterable[str]) -> dict[str, Any]:
        """What stands beside the `known` keys."""
        return {key: value for key, value in self.values.items() if key not in set(known)}
