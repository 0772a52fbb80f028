"""The schema in words: which keys there are, what each allows, what it means.

Error messages, the reference table and the command line all read the schema through this module, so
they cannot disagree with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from pydantic import BaseModel, BeforeValidator
from pydantic.fields import FieldInfo

from mindmlm.config.schema import RunConfig
from mindmlm.config.schema.types import Spellings

_KINDS = {bool: "True or False", int: "an integer", float: "a number", str: "text"}
_BOUNDS = ((Ge, ">=", "ge"), (Gt, ">", "gt"), (Le, "<=", "le"), (Lt, "<", "lt"))


@dataclass(frozen=True)
class Key:
    """One key of the configuration that holds a value (not a section).

    `other_defaults` are those in further kinds of its section, where they differ.
    """

    path: str
    default: object
    allowed: str
    choices: tuple[object, ...]
    spellings: Spellings
    description: str
    is_text: bool
    other_defaults: tuple[object, ...] = ()

    @property
    def section(self) -> str:
        """The dotted path of the section the key stands in; '' at the top level."""
        return self.path.rpartition(".")[0]


@cache
def keys() -> dict[str, Key]:
    """Return every key that holds a value, by dotted path, in the order of the schema.

    A key that several kinds of a section have is described once, by the first of them.
    """
    found: dict[str, Key] = {}
    for key in _walk(RunConfig, ""):
        first = found.setdefault(key.path, key)
        if first is not key:
            found[key.path] = _of_both(first, key)
    return found


@cache
def kinds() -> dict[str, tuple[str, ...]]:
    """Return the names that each kind of a section allows, by the kind (its key `type`)."""
    return {kind: names for section in _inner_sections(RunConfig) for kind, names in section}


@cache
def sections() -> dict[str, tuple[str, ...]]:
    """Return the names that each section allows, by the section's dotted path ('' = top level)."""
    found: dict[str, list[str]] = {"": []}
    for path in keys():
        parts = path.split(".")
        for depth, name in enumerate(parts):
            names = found.setdefault(".".join(parts[:depth]), [])
            if name not in names:
                names.append(name)
    return {section: tuple(names) for section, names in found.items()}


def describe_type(annotation: Any) -> str:
    """Say in words what a type allows, for example "an integer >= 1 or null"."""
    origin = get_origin(annotation)
    if origin is Annotated:
        base, *metadata = get_args(annotation)
        return _with_bounds(base, metadata)
    if origin in (Union, UnionType):
        return " or ".join(describe_type(arm) for arm in get_args(annotation))
    if origin is Literal:
        choices = [str(choice) for choice in get_args(annotation)]
        return choices[0] if len(choices) == 1 else "one of " + ", ".join(choices)
    if origin is list:
        (item,) = get_args(annotation)
        return f"a list, each {describe_type(item)}" if get_origin(item) else "a list of texts"
    if origin is dict:
        return "a mapping of texts"
    if annotation is NoneType:
        return "null"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "a section"
    return _KINDS[annotation]


def _walk(section: type[BaseModel], prefix: str) -> Iterator[Key]:
    for name, field in section.model_fields.items():
        path = prefix + (field.alias or name)
        inner = _sections_of(field.annotation)
        for kind in inner:
            yield from _walk(kind, path + ".")
        if not inner:
            yield _key(path, field)


def _inner_sections(section: type[BaseModel]) -> Iterator[list[tuple[str, tuple[str, ...]]]]:
    """Yield, of each section that has several kinds, their names and keys."""
    for field in section.model_fields.values():
        inner = _sections_of(field.annotation)
        if len(inner) > 1:
            yield [(kind_of(kind), tuple(kind.model_fields)) for kind in inner]
        for kind in inner:
            yield from _inner_sections(kind)


def kind_of(section: type[BaseModel]) -> str:
    """Return the name of one kind of a section, the only value of its key `type`."""
    return str(section.model_fields["type"].default)


def _of_both(first: Key, other: Key) -> Key:
    """Describe a key that two kinds of a section have."""
    if first.path.endswith(".type"):
        choices = (*first.choices, *other.choices)
        allowed = "one of " + ", ".join(map(str, choices))
        return replace(first, choices=choices, allowed=allowed)
    if first.default == other.default:
        return first
    return replace(first, other_defaults=(*first.other_defaults, other.default))


def _key(path: str, field: FieldInfo) -> Key:
    annotation = _rebuild(field)
    arms = _arms(annotation)
    spellings = [
        item.func
        for item in field.metadata
        if isinstance(item, BeforeValidator) and isinstance(item.func, Spellings)
    ]
    return Key(
        path=path,
        default=field.get_default(call_default_factory=True),
        allowed=describe_type(annotation),
        choices=tuple(
            choice for arm in arms if get_origin(arm) is Literal for choice in get_args(arm)
        ),
        spellings=spellings[0] if spellings else Spellings(),
        description=field.description or "",
        is_text=str in arms,
    )


def _rebuild(field: FieldInfo) -> Any:
    """Put the metadata that pydantic took off the annotation back on it."""
    annotation: Any = field.annotation
    for item in field.metadata:
        annotation = Annotated[annotation, item]
    return annotation


def _arms(annotation: Any) -> tuple[Any, ...]:
    """Return the bare alternatives of an annotation, without `Annotated` and `Union`."""
    if get_origin(annotation) is Annotated:
        return _arms(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return tuple(bare for arm in get_args(annotation) for bare in _arms(arm))
    return (annotation,)


def _sections_of(annotation: Any) -> list[type[BaseModel]]:
    """Return the section that a key holds, or the kinds of it; none for a key with a value."""
    arms = _arms(annotation)
    return [arm for arm in arms if isinstance(arm, type) and issubclass(arm, BaseModel)]


def _with_bounds(base: Any, metadata: list[Any]) -> str:
    words = describe_type(base)
    bounds = [
        f"{sign} {getattr(item, attribute)}"
        for item in metadata
        for kind, sign, attribute in _BOUNDS
        if isinstance(item, kind)
    ]
    if any(isinstance(item, MinLen) for item in metadata):
        words = f"{words} that is not empty"
    for item in metadata:
        if isinstance(item, MaxLen):
            words = f"{words} and has at most {item.max_length} character"
    return " ".join([words, " and ".join(bounds)]) if bounds else words
