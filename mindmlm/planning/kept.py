"""Bytes of activations that a block keeps between its forward and its backward pass.

Counted from the operators of the block (`parallel.semi_auto.programs`) by what the gradients of our
Cells need (`models.functional`): a matrix product its two inputs, a softmax its result, a layer
norm the normalised values and one number a row, an activation its input and its gate.
"""

import math

from mindmlm.parallel.semi_auto.builder import Program
from mindmlm.parallel.semi_auto.operators import Operator, Value

_FLOAT = 4
_SIZES = {"float16": 2, "bfloat16": 2, "float32": 4}


def block_bytes(program: Program) -> int:
    """Bytes that one rank keeps of one micro-batch, its dropout masks included.

    Args:
        program: of the block, whose cuts are those of the rank's layout.
    """
    known = {value.name: value for value in program.inputs}
    known |= {operator.name: operator.output for operator in program.operators}
    sizes, casts = _widths(program), _casts(program)
    kept: dict[str, int] = {}
    for operator in program.operators:
        for name, value in _needed(operator, known):
            kept[casts.get(name, name)] = part_size(value) * sizes.get(name, _FLOAT)
        if operator.kind == "LayerNorm":
            kept[f"{operator.name}:rstd"] = (
                _FLOAT * part_size(operator.output) // (operator.output.shape[-1])
            )
    return sum(kept.values())


def _casts(program: Program) -> dict[str, str]:
    """One name for all casts of one tensor to one type: MindSpore makes them once."""
    return {
        operator.name: f"{operator.inputs[0]}:{operator.settings['dtype']}"
        for operator in program.operators
        if operator.kind == "Cast"
    }


def forward_bytes(program: Program) -> int:
    """Most bytes that one rank has at once of a block that is never gone through backward.

    A tensor is there from the operator that makes it until the last one that reads it; what comes
    in stays until it has been read.
    """
    sizes = _widths(program)
    last = {name: n for n, operator in enumerate(program.operators) for name in operator.inputs}
    alive = {value.name: _bytes(value, sizes) for value in program.inputs}
    most = 0
    for number, operator in enumerate(program.operators):
        # A reshaped tensor is the same memory under another name.
        same = operator.kind == "Reshape" and last[operator.inputs[0]] == number
        made = alive.pop(operator.inputs[0], 0) if same else _bytes(operator.output, sizes)
        alive[operator.name] = made
        most = max(most, sum(alive.values()))
        for name in operator.inputs:
            if last[name] == number:
                alive.pop(name, None)
    return most


def _bytes(value: Value, sizes: dict[str, int]) -> int:
    return part_size(value) * sizes.get(value.name, _FLOAT)


def score_bytes(head: Program) -> int:
    """The scores of a head over its vocabulary, once."""
    scores = next(operator.output for operator in head.operators if operator.name == "shifted")
    return _FLOAT * part_size(scores)


def loss_bytes(head: Program) -> int:
    """The scores and two tensors of their size, in the first moments of the backward pass."""
    return 3 * score_bytes(head)


def width_of(dtype: str) -> int:
    """Bytes of a value of a `compute_dtype`."""
    return _SIZES[dtype]


def part_size(value: Value) -> int:
    """Number of values that one rank has of a tensor."""
    return math.prod(value.shape) // math.prod(value.cuts)


def _widths(program: Program) -> dict[str, int]:
    """Bytes of a value of every tensor that is not float32; masks are bool until they are used."""
    widths = {value.name: 1 for value in program.inputs if value.name.startswith("keep_")}
    for operator in program.operators:
        if operator.kind == "Cast":
            widths[operator.name] = _SIZES[operator.settings["dtype"]]
        elif operator.kind in ("Reshape", "Transpose"):
            widths[operator.name] = widths.get(operator.inputs[0], _FLOAT)
    return widths


def _needed(operator: Operator, known: dict[str, Value]) -> list[tuple[str, Value]]:
    """Tensors that the gradient of an operator looks at; parameters are kept anyway."""
    inputs = [(name, known[name]) for name in operator.inputs if name in known]
    result = [(operator.name, operator.output)]
    match operator.kind:
        case "MatMul" | "BatchMatMul":
            return inputs
        case "Mul":
            masks = [(name, value) for name, value in inputs if name.startswith("keep_")]
            return masks or ([] if _is_of_loss(operator) else inputs)
        case "Softmax" | "ReLU":
            return result
        case "LayerNorm":
            return [(f"{operator.name}:normalised", operator.output)]
        case "GeLU":
            return [*inputs, (f"{operator.name}:gate", operator.output)]
        case "Exp":  # of the loss: log-probabilities, or probabilities where columns are cut
            return result
        case "Gather":
            return inputs[-1:]
        case _:
            return []


def _is_of_loss(operator: Operator) -> bool:
    """Products of the loss, whose gradient is written by hand from the kept probabilities."""
    return operator.name in ("picked_columns", "weighted")
