"""What a graph is made from, as one hash: two graphs with the same hash are the same graph.

MindSpore bakes every number and every choice of a Cell into its graph, so all of them count: class
and attributes of every Cell below, primitives with theirs, names and shapes of parameters, values
of constant tensors, shapes of the arguments, the sources of this package, and MindSpore's version.
"""

import hashlib
import inspect
import sys
from collections.abc import Iterator, Sequence
from enum import Enum
from functools import cache
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import nn, ops
from mindspore._c_expression.typing import Type
from pydantic import BaseModel

_PACKAGE = Path(__file__).resolve().parents[1]
# What decides about a Cell among the attributes that MindSpore gives to all of them.
_STATE = (
    *("training", "requires_grad", "has_bprop", "cell_type", "mixed_precision_type"),
    *("_amp_level", "_in_strategy", "_out_strategy", "_has_config_recompute", "_jit_config_dict"),
)


class UnknownPartError(Exception):
    """An attribute of which nobody can say whether two graphs agree in it."""


def fingerprint(parts: Sequence[object], arguments: Sequence[object]) -> str:
    """Hash of a graph.

    Args:
        parts: what the Cell at the top consists of.
        arguments: of the call; tensors count by shape and type.

    Raises:
        UnknownPartError: something in it is of a kind that is not known here.
    """
    digest = hashlib.sha256()
    for line in _environment():
        digest.update(line.encode() + b"\n")
    description = _Description()
    for part in parts:
        for line in description.of(part):
            digest.update(line.encode() + b"\n")
    for argument in arguments:
        digest.update(f"argument {_signature(argument)}\n".encode())
    return digest.hexdigest()[:32]


def _signature(argument: object) -> str:
    if isinstance(argument, ms.Tensor):
        return f"{argument.shape} {argument.dtype}"
    if isinstance(argument, tuple | list):
        return f"({', '.join(_signature(one) for one in argument)})"
    if argument is None or isinstance(argument, bool | int | float | str):
        return repr(argument)
    raise UnknownPartError(f"an argument of type {type(argument).__name__}")


def _environment() -> Iterator[str]:
    yield f"mindspore {ms.__version__}, python {sys.version_info[:2]}, numpy {np.__version__}"
    yield f"{ms.get_context('device_target')} {ms.get_context('mode')}"
    yield f"jit {ms.get_context('jit_config')}"
    yield f"sources {_sources()}"


@cache
def _sources() -> str:
    """Hash of all Python files of this package."""
    digest = hashlib.sha256()
    for path in sorted(_PACKAGE.rglob("*.py")):
        digest.update(str(path.relative_to(_PACKAGE)).encode() + path.read_bytes())
    return digest.hexdigest()


class _Description:
    """Lines that describe things; what has been described before is named by its number."""

    def __init__(self) -> None:
        self._seen: dict[int, int] = {}
        self._keep: list[object] = []

    def of(self, thing: object) -> Iterator[str]:
        """All that decides about the graph."""
        if thing is None or isinstance(thing, bool | int | float | str | bytes | Enum):
            yield repr(thing)
        elif isinstance(thing, ms.Tensor | np.ndarray):
            yield from self._tensor(thing)
        elif isinstance(thing, type):
            yield f"class {_name(thing)} {_foreign_source(thing)}"
        elif isinstance(thing, FunctionType | BuiltinFunctionType):
            yield from self._function(thing)
        elif isinstance(thing, Type | np.dtype | ModuleType):
            yield repr(thing)
        elif id(thing) in self._seen:
            yield f"seen {self._seen[id(thing)]}"
        else:
            self._seen[id(thing)] = len(self._seen)
            self._keep.append(thing)
            yield from self._composed(thing)

    def _tensor(self, tensor: ms.Tensor | np.ndarray) -> Iterator[str]:
        if isinstance(tensor, ms.Parameter):
            yield f"parameter {tensor.name} {tensor.shape} {tensor.dtype} {tensor.requires_grad}"
            return
        array = tensor if isinstance(tensor, np.ndarray) else tensor.asnumpy()
        values = np.ascontiguousarray(array)
        yield f"tensor {values.shape} {values.dtype} {hashlib.sha256(values.tobytes()).hexdigest()}"

    def _function(self, function: Any) -> Iterator[str]:
        yield f"function {_name(function)} {_foreign_source(function)}"
        if isinstance(function, FunctionType):
            # Two functions of one scope may have one name: lambdas have.
            code = function.__code__
            yield f"{code.co_code.hex()} {code.co_names} {code.co_firstlineno}"
            yield from self.of((function.__defaults__, function.__kwdefaults__))
            yield from (repr(one) for one in code.co_consts if not isinstance(one, CodeType))
        for cell in getattr(function, "__closure__", None) or ():
            yield from self.of(cell.cell_contents)

    def _composed(self, thing: Any) -> Iterator[str]:
        yield f"{_name(type(thing))} {_foreign_source(type(thing))}"
        if isinstance(thing, nn.Cell):
            yield from self._attributes({name: getattr(thing, name, None) for name in _STATE})
            yield from self._attributes(dict(thing.parameters_and_names(expand=False)))
            yield from self._attributes(_own_attributes(thing))
        elif isinstance(thing, ops.Primitive):
            yield from self._attributes(thing.attrs)
            yield from self._attributes(thing.__dict__)
        elif isinstance(thing, dict):
            yield from self._attributes(thing)
        elif isinstance(thing, tuple | list):
            yield str(len(thing))
            for one in thing:
                yield from self.of(one)
        elif isinstance(thing, BaseModel):
            yield thing.model_dump_json()
        elif hasattr(type(thing), "__dataclass_fields__"):
            yield from self._attributes(vars(thing))
        else:
            raise UnknownPartError(f"an attribute of type {_name(type(thing))}")

    def _attributes(self, attributes: dict[Any, object]) -> Iterator[str]:
        for name in sorted(attributes, key=str):
            yield f".{name}"
            yield from self.of(attributes[name])


@cache
def _common_attributes() -> frozenset[str]:
    """What MindSpore gives to every Cell: caches, phases, hooks, numbers of instances."""
    return frozenset(vars(nn.Cell())) | {"sequence_modified", "_real_phase", "_compiled_shapes"}


def _own_attributes(cell: nn.Cell) -> dict[str, object]:
    own = {n: v for n, v in vars(cell).items() if n not in _common_attributes()}
    return {**own, **cell.name_cells()}


def _name(thing: Any) -> str:
    return f"{thing.__module__}.{thing.__qualname__}"


def _foreign_source(thing: Any) -> str:
    """Hash of the file of a class or function that is neither ours nor MindSpore's."""
    root = (thing.__module__ or "").partition(".")[0]
    if root in ("mindspore", "mindmlm", "builtins", "numpy"):
        return ""
    try:
        path = inspect.getsourcefile(thing)
    except TypeError:
        path = None
    if path is None:
        raise UnknownPartError(f"{_name(thing)} without a source file")
    return _file_hash(path)


@cache
def _file_hash(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()
