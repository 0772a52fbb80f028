"""Field types of the schema: strict about kinds, generous about spellings.

Each alias is an `Annotated` type whose bounds are `annotated_types` objects, so that error messages
and the reference table can say in words what is allowed (`mindmlm.config.describe`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic import BeforeValidator

TRUE_WORDS = frozenset({"true", "yes", "on", "1", "t", "y"})
FALSE_WORDS = frozenset({"false", "no", "off", "0", "f", "n"})


def parse_boolean(value: object) -> object:
    """Accept every usual spelling of true and false; leave anything else for the type check."""
    if isinstance(value, (str, int)):
        word = str(value).strip().lower()
        if word in TRUE_WORDS:
            return True
        if word in FALSE_WORDS:
            return False
    return value


def parse_integer(value: object) -> object:
    """Accept `1e3` (a float without a fraction) as an integer; leave anything else alone."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def zero_means_never(value: object) -> object:
    """Read 0 as null for an interval in steps."""
    return None if value == 0 and not isinstance(value, bool) else value


def one_as_list(value: object) -> object:
    """Read a text by itself as a list of one."""
    return [value] if isinstance(value, str) else value


def minus_one_means_null(value: object) -> object:
    """Read MindFormers' -1 ("work it out") as null."""
    return None if value == -1 else value


@dataclass(frozen=True, eq=False)
class Spellings:
    """Other spellings of a choice, and choices that are refused with a reason of their own."""

    accepted: Mapping[str, object] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, value: object) -> object:
        """Return the canonical choice; raise ValueError with the reason for a refused one."""
        if isinstance(value, str):
            if value in self.refused:
                raise ValueError(self.refused[value])
            return self.accepted.get(value, value)
        if isinstance(value, bool):
            raise ValueError("True and False are not among the choices")
        return value


Boolean = Annotated[bool, BeforeValidator(parse_boolean)]
Integer = Annotated[int, BeforeValidator(parse_integer)]
PositiveInteger = Annotated[Integer, Ge(1)]
Count = Annotated[Integer, Ge(0)]
TextList = Annotated[list[str], BeforeValidator(one_as_list), MinLen(1)]
Seed = Annotated[Integer, Ge(0), Le(2**32 - 1)]
PositiveNumber = Annotated[float, Gt(0)]
NonNegativeNumber = Annotated[float, Ge(0)]
Probability = Annotated[float, Ge(0), Le(1)]
Decay = Annotated[float, Ge(0), Lt(1)]
OpenFraction = Annotated[float, Gt(0), Lt(1)]
StepInterval = Annotated[PositiveInteger | None, BeforeValidator(zero_means_never)]
