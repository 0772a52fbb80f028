"""Pickles of PyTorch, read by an interpreter that can build tensors' descriptions and nothing else.

A pickle is a program, and Python's own interpreter lets it call any function. This one knows the
opcodes that `torch.save` needs for a state dict and the names below; everything else is refused
before anything happened. Opcodes: the documentation of Python's `pickletools`, whose parser
divides the bytes here; the meaning of the names: `torch/_utils.py` and `torch/storage.py`.
"""

import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO

from mindmlm.conversion.source import BFLOAT16
from mindmlm.errors import CheckpointError

STORAGE_TYPES = {
    "FloatStorage": "float32",
    "DoubleStorage": "float64",
    "HalfStorage": "float16",
    "BFloat16Storage": BFLOAT16,
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
}
MAX_OPCODES = 5_000_000
_TENSOR_NAMES = {"torch._utils _rebuild_tensor", "torch._utils _rebuild_tensor_v2"}
_PARAMETER_NAME = "torch._utils _rebuild_parameter"
_ORDERED_DICT = "collections OrderedDict"


@dataclass(frozen=True)
class Global:
    """A name that the pickle wants to use, as `module name`. It is never looked up."""

    name: str


@dataclass(frozen=True)
class Storage:
    """A block of numbers: its type, its key in the file, and its length in elements."""

    dtype: str
    key: str
    length: int


@dataclass(frozen=True)
class StridedTensor:
    """A tensor as a view of a storage; offset and strides in elements."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Mark:
    """Separates the arguments of an opcode on the stack."""


def run_pickle(stream: BinaryIO, name: str) -> Any:
    """Read one pickle from ``stream``, which stands behind it afterwards.

    Returns:
        Numbers, texts, tuples, lists, dicts, and `StridedTensor` for tensors.

    Raises:
        CheckpointError: damaged, or it asks for something other than tensors; ``name`` is blamed.
    """
    machine = _Machine()
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
            if count > MAX_OPCODES:
                raise CheckpointError("it is longer than any list of weights")
            if opcode.name == "STOP":
                return machine.pop()
            machine.run(opcode.name, argument)
        raise CheckpointError("it has no end")
    except CheckpointError as error:
        raise CheckpointError(f"{name}: {error}") from None
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise CheckpointError(f"{name}: not a readable pickle: {error}") from None


class _Machine:
    """The stack machine of pickle, without the opcodes that call or import."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self, name: str, argument: Any) -> None:
        """Carry out one opcode."""
        if name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name]())
        elif name in _LITERALS:
            self.stack.append(argument)
        elif name in _ACTIONS:
            _ACTIONS[name](self, argument)
        elif name not in ("PROTO", "FRAME"):
            raise CheckpointError(
                f"the pickle uses the opcode {name}, which a list of weights does not need; it is "
                "refused unread. If you trust the file, load it where it came from and save the "
                "weights alone (a state dict), best as safetensors"
            )

    def pop(self) -> Any:
        """Take the uppermost value."""
        return self.stack.pop()

    def pop_to_mark(self) -> list[Any]:
        """Take everything above the last mark, and the mark."""
        values = []
        while not isinstance(value := self.stack.pop(), _Mark):
            values.append(value)
        return values[::-1]

    def remember(self, place: int) -> None:
        """Keep the uppermost value for a later GET."""
        self.memo[place] = self.stack[-1]

    def make_global(self, name: str) -> None:
        """Put a name on the stack; only the ones that are known are let through."""
        module, _, attribute = name.partition(" ")
        known = name in _TENSOR_NAMES or name in (_PARAMETER_NAME, _ORDERED_DICT)
        if not known and not (module == "torch" and attribute in STORAGE_TYPES):
            raise CheckpointError(
                f"the pickle asks for {module}.{attribute}; only weights are read, and nothing in "
                "a file is ever run"
            )
        self.stack.append(Global(name))

    def stack_global(self) -> None:
        """Take a name from the stack."""
        attribute, module = self.pop(), self.pop()
        if not isinstance(attribute, str) or not isinstance(module, str):
            raise CheckpointError("the pickle asks for something that has no name")
        self.make_global(f"{module} {attribute}")

    def call(self) -> None:
        """Build what the known names stand for."""
        arguments, function = self.pop(), self.pop()
        if not isinstance(function, Global) or not isinstance(arguments, tuple):
            raise CheckpointError("the pickle calls something that is no function")
        if function.name in _TENSOR_NAMES:
            self.stack.append(_tensor(*arguments[:4]))
        elif function.name == _PARAMETER_NAME and isinstance(arguments[0], StridedTensor):
            self.stack.append(arguments[0])
        elif function.name == _ORDERED_DICT:
            self.stack.append({})
            self.set_items([part for pair in (*arguments, ())[0] for part in pair])
        else:
            raise CheckpointError(f"the pickle calls {function.name}")

    def load_storage(self) -> None:
        """Read the reference of a storage; its numbers lie outside of the pickle."""
        kind, storage_type, key, _device, length, *rest = self.pop()
        is_storage = isinstance(storage_type, Global) and isinstance(key, str | int)
        if kind != "storage" or not is_storage:
            raise CheckpointError("the pickle refers to something that is no storage")
        if rest and rest[0] is not None:
            raise CheckpointError("storages that are views of others (PyTorch 0.3) are not read")
        attribute = storage_type.name.partition(" ")[2]
        self.stack.append(Storage(STORAGE_TYPES[attribute], str(key), _count(length)))

    def build(self) -> None:
        """Drop the attributes of a state dict (`_metadata`); anything else has none."""
        self.pop()
        if not isinstance(self.stack[-1], dict):
            raise CheckpointError("the pickle sets attributes of something that is no dict")

    def set_items(self, pairs: list[Any]) -> None:
        """Put keys and values into the dict below."""
        target = self.stack[-1]
        if not isinstance(target, dict) or len(pairs) % 2:
            raise CheckpointError("the pickle fills something that is no dict")
        # Nothing that nests may be a key: hashing it could take for ever.
        if not all(isinstance(key, str | int) for key in pairs[::2]):
            raise CheckpointError("the pickle has a dict whose keys are no names")
        target.update(zip(pairs[::2], pairs[1::2], strict=True))

    def extend(self, values: list[Any]) -> None:
        """Append to the list below."""
        if not isinstance(self.stack[-1], list):
            raise CheckpointError("the pickle fills something that is no list")
        self.stack[-1].extend(values)

    def make_tuple(self, count: int) -> None:
        """Take ``count`` values as a tuple."""
        values = [self.pop() for _ in range(count)]
        self.stack.append(tuple(values[::-1]))


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any) -> StridedTensor:
    if not isinstance(storage, Storage) or len(shape) != len(strides):
        raise CheckpointError("the pickle describes a tensor that makes no sense")
    sizes = tuple(map(_count, shape))
    steps = tuple(map(_count, strides))
    last = _count(offset) + sum((n - 1) * step for n, step in zip(sizes, steps, strict=True))
    if 0 not in sizes and last >= storage.length:
        raise CheckpointError(f"a tensor of shape {list(sizes)} reaches beyond its storage")
    return StridedTensor(storage, offset, sizes, steps)


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**48:
        raise CheckpointError(f"the pickle has a {type(value).__name__} where a size is expected")
    return value


def _pairs(machine: _Machine) -> list[Any]:
    value, key = machine.pop(), machine.pop()
    return [key, value]


_LITERALS = frozenset(
    {
        "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE",
        "BINUNICODE8", "BINSTRING", "SHORT_BINSTRING",
    }
)  # fmt: skip
_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "MARK": _Mark,
}
_ACTIONS: dict[str, Callable[[_Machine, Any], None]] = {
    "BINPUT": lambda machine, place: machine.remember(place),
    "LONG_BINPUT": lambda machine, place: machine.remember(place),
    "MEMOIZE": lambda machine, _: machine.remember(len(machine.memo)),
    "BINGET": lambda machine, place: machine.stack.append(machine.memo[place]),
    "LONG_BINGET": lambda machine, place: machine.stack.append(machine.memo[place]),
    "GLOBAL": lambda machine, name: machine.make_global(name),
    "STACK_GLOBAL": lambda machine, _: machine.stack_global(),
    "REDUCE": lambda machine, _: machine.call(),
    "BINPERSID": lambda machine, _: machine.load_storage(),
    "BUILD": lambda machine, _: machine.build(),
    "SETITEM": lambda machine, _: machine.set_items(_pairs(machine)),
    "SETITEMS": lambda machine, _: machine.set_items(machine.pop_to_mark()),
    "APPEND": lambda machine, _: machine.extend([machine.pop()]),
    "APPENDS": lambda machine, _: machine.extend(machine.pop_to_mark()),
    "TUPLE": lambda machine, _: machine.stack.append(tuple(machine.pop_to_mark())),
    "TUPLE1": lambda machine, _: machine.make_tuple(1),
    "TUPLE2": lambda machine, _: machine.make_tuple(2),
    "TUPLE3": lambda machine, _: machine.make_tuple(3),
}
