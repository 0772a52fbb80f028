"""A block of a network as a Cell that runs its operators, each with its strategy."""

from collections.abc import Callable, Mapping
from typing import Any

import mindspore as ms
from mindspore import Parameter, ParameterTuple, nn, ops
from mindspore.ops import Primitive

from mindmlm.parallel.semi_auto.builder import Program
from mindmlm.parallel.semi_auto.operators import Operator

Settings = dict[str, Any]

# Kind of an operator -> MindSpore's; one entry for each of `operators.RULES`.
_PRIMITIVES: dict[str, Callable[[Settings], Primitive]] = {
    "Add": lambda settings: ops.Add(),
    "Sub": lambda settings: ops.Sub(),
    "Mul": lambda settings: ops.Mul(),
    "Scale": lambda settings: ops.Mul(),
    "Offset": lambda settings: ops.Add(),
    "Minimum": lambda settings: ops.Minimum(),
    "Equal": lambda settings: ops.Equal(),
    "Exp": lambda settings: ops.Exp(),
    "Log": lambda settings: ops.Log(),
    "Erf": lambda settings: ops.Erf(),
    "GeLU": lambda settings: ops.GeLU(),
    "ReLU": lambda settings: ops.ReLU(),
    "Cast": lambda settings: ops.Cast(),
    "Softmax": lambda settings: ops.Softmax(-1),
    "LayerNorm": lambda settings: ops.LayerNorm(1, 1, settings["epsilon"]),
    "MatMul": lambda settings: ops.MatMul(transpose_b=settings["transpose_b"]),
    "BatchMatMul": lambda settings: ops.BatchMatMul(transpose_b=settings["transpose_b"]),
    "Gather": lambda settings: ops.Gather(settings["batch_dims"]),
    "Transpose": lambda settings: ops.Transpose(),
    "Reshape": lambda settings: ops.Reshape(),
    "ReduceSum": lambda settings: ops.ReduceSum(settings["keep"]),
    "ReduceMax": lambda settings: ops.ReduceMax(settings["keep"]),
    "OneHot": lambda settings: ops.OneHot(),
    "StridedSlice": lambda settings: ops.StridedSlice(),
}


def make_primitive(operator: Operator) -> Primitive:
    """MindSpore's operator with its strategy.

    A reshape has none: the engine takes over the cuts of what stands before it.
    """
    made = _PRIMITIVES[operator.kind](operator.settings)
    if operator.kind == "Reshape":
        return made
    if operator.kind == "OneHot":
        return made.shard((operator.output.cuts, (), ()))
    # Numbers that are passed as tensors take part in the strategy.
    return made.shard((*operator.strategy, *((),) * (operator.kind in ("Scale", "Offset"))))


def other_arguments(operator: Operator) -> tuple[Any, ...]:
    """What the operator takes behind its tensors."""
    settings, kind = operator.settings, operator.kind
    if kind in ("Scale", "Offset"):
        return (ms.Tensor(settings["number"], ms.float32),)
    if kind == "StridedSlice":
        first, (rows, *others) = settings["first"], operator.output.shape
        begin, end = (first, *(0 for _ in others)), (first + rows, *others)
        return begin, end, (1,) * len(begin)
    if kind == "OneHot":
        return settings["depth"], ms.Tensor(1.0, ms.float32), ms.Tensor(0.0, ms.float32)
    single = {
        "Cast": lambda: getattr(ms, settings["dtype"]),
        "Gather": lambda: settings["batch_dims"],
        "Transpose": lambda: settings["order"],
        "Reshape": lambda: settings["shape"],
        "ReduceSum": lambda: settings["axes"],
        "ReduceMax": lambda: settings["axes"],
    }
    return (single[kind](),) if kind in single else ()


class Block(nn.Cell):
    """Runs a program.

    Args:
        program: what it does.
        parameters: of the model, by name; the block uses some of them.
    """

    def __init__(self, program: Program, parameters: Mapping[str, Parameter]) -> None:
        super().__init__(auto_prefix=False)
        used = [parameters[value.name] for value in program.parameters]
        self.parameters = ParameterTuple(used)
        self.constants = tuple(ms.Tensor(array) for array in program.constants.values())
        self.primitives = tuple(make_primitive(operator) for operator in program.operators)
        for number, primitive in enumerate(self.primitives):
            # Only operators that are attributes are seen by `Cell.recompute`.
            setattr(self, f"operator_{number}", primitive)
        self.others = tuple(other_arguments(operator) for operator in program.operators)
        self.first_only = tuple(operator.kind == "LayerNorm" for operator in program.operators)
        places = {value.name: place for place, value in enumerate(_values(program))}
        self.sources = tuple(
            tuple(places[name] for name in operator.inputs) for operator in program.operators
        )
        self.result = places[program.output.name]

    def construct(self, *inputs: ms.Tensor) -> ms.Tensor:
        """The inputs of the program, in its order -> its result."""
        values: tuple = inputs
        for parameter in self.parameters:
            values = (*values, parameter)
        for constant in self.constants:
            values = (*values, constant)
        for number in range(len(self.primitives)):
            arguments: tuple = ()
            for place in self.sources[number]:
                arguments = (*arguments, values[place])
            made = self.primitives[number](*arguments, *self.others[number])
            values = (*values, made[0] if self.first_only[number] else made)
        return values[self.result]


def _values(program: Program) -> list[Any]:
    """All tensors of a program in the order in which `Block.construct` lines them up."""
    constants = [_Named(name) for name in program.constants]
    made = [operator.output for operator in program.operators]
    return [*program.inputs, *program.parameters, *constants, *made]


class _Named:
    def __init__(self, name: str) -> None:
        self.name = name
