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
