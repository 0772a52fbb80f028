"""Operators of a network as data, and what a cut of their inputs means. Pure.

A tensor is cut by *cuts*: one number an axis, into how many equal parts it is divided; MindSpore
calls the cuts of all inputs of an operator its strategy. Axes of equal meaning in two inputs must
be cut alike; where an axis that is summed over is cut, each device has a summand, and the engine
adds them up behind the operator.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Shape = tuple[int, ...]
Cuts = tuple[int, ...]


class CutError(ValueError):
    """An operator cannot work on inputs that are cut in this way."""


@dataclass(frozen=True)
class Value:
    """A tensor of the network: `shape` of all of it, and how it is cut."""

    name: str
    shape: Shape
    cuts: Cuts


@dataclass(frozen=True)
class Operator:
    """One operator of a network.

    Args:
        name: unique in its program; also the name of its result.
        kind: key of `RULES`, the name of MindSpore's operator.
        inputs: names of the tensors it takes.
        strategy: cuts of each of them, as given to `Primitive.shard`.
        output: what it makes.
        settings: arguments of the operator that are not tensors, by the names in `RULES`.
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    strategy: tuple[Cuts, ...]
    output: Value
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What follows from the inputs of an operator.

    Args:
        shape, cuts: of its result.
        summands: into how many summands the result is divided before the engine adds them up.
    """

    shape: Shape
    cuts: Cuts
    summands: int = 1


Rule = Callable[[list[Value], dict[str, Any]], Outcome]


def outcome(kind: str, inputs: list[Value], settings: dict[str, Any]) -> Outcome:
    """Return what the operator `kind` makes of inputs that are cut as they say.

    Raises:
        CutError: shapes or cuts do not fit the operator, or a cut does not divide its axis.
    """
    for value in inputs:
        if len(value.cuts) != len(value.shape):
            raise CutError(f"{value.name}{list(value.shape)} has {len(value.cuts)} cuts")
        for length, cut in zip(value.shape, value.cuts, strict=True):
            if cut < 1 or length % cut:
                raise CutError(f"{cut} does not divide {value.name}{list(value.shape)}")
    return RULES[kind](inputs, settings)


def _need(good: bool, message: str) -> None:
    if not good:
        raise CutError(message)


def _elementwise(inputs: list[Value], settings: dict[str, Any]) -> Outcome:
    """Any number of tensors that are broadcast to one shape; what is repeated is not cut."""
    axes = max(len(value.shape) for value in inputs)
    shape, cuts = [], []
    for axis in range(-axes, 0):
        here = [
            (value.shape[axis], value.cuts[axis]) for value in inputs if len(value.shape) >= -axis
        ]
        length = max(size for size, _ in here)
        known = {cut for size, cut in here if size == length}
        _need({size for size, _ in here} <= {1, length}, f"shapes do not match: {inputs}")
        _need(len(known) == 1, f"inputs are cut differently: {inputs}")
        shape.append(length)
        cuts.append(known.pop())
    return Outcome(tuple(shape), tuple(cuts))


def _over_last_axis(inputs: list[Value], settings: dict[str, Any]) -> Outcome:
    """Softmax and layer norm: the last axis must be whole; vectors behind the first input too."""
    first, *others = inputs
    _need(first.cuts[-1] == 1, f"the last axis of {first} is cut")
    _need(all(v.shape == first.shape[-1:] and v.cuts == (1,) for v in others), f"wrong: {others}")
    return Outcome(first.shape, first.cuts)


def _matmul(inputs: list[Value], settings: dict[str, Any]) -> Outcome:
    """Matrix products, of the last two axes where there are more."""
    a, b = inputs
    columns, inner = (-2, -1) if settings["transpose_b"] else (-1, -2)
    _need(len(a.shape) == len(b.shape) and a.shape[:-2] == b.shape[:-2], f"shapes: {inputs}")
    _need(a.shape[-1] == b.shape[inner], f"the inner axes differ: {inputs}")
    _need(a.cuts[:-2] == b.cuts[:-2], f"inputs are cut differently: {inputs}")
    _need(a.cuts[-1] == b.cuts[inner], f"the inner axes are cut differently: {inputs}")
    shape = (*a.shape[:-1], b.shape[columns])
    return Outcome(shape, (*a.cuts[:-1], b.cuts[columns]), a.cuts[-1])


def _gather(inputs: list[Value], settings: dict[str, Any]) -> Outcome:
    """Rows of a table; with `batch_dims` 1, of each matrix of a batch."""
    table, ids = inputs
    axis = settings["batch_dims"]
    _need(table.shape[:axis] == ids.shape[:axis], f"batches differ: {inputs}")
    _need(table.cuts[:axis] == ids.cuts[:axis], f"inputs are cut differently: {inputs}")
    _need(axis == 0 or table.cuts[axis] == 1, f"rows of a batch cannot be cut: {inputs}")
    shape = (*ids.shape, *table.shape[axis + 1 :])
    return Outcome(shape, (*ids.cuts, *table.cuts[axis + 1 :]), table.cuts[axis])


def _transpose(inputs: list[Value], settings: dict[str, Any]) -> Outcome:
    (x,), order = inputs, settings["order"]
    return Outcome(tuple(x.shape[axis] for axis in order), tuple(x.cuts[axis] for axis in order))


def _reduce(inputs: list[Value], settings: dict[str, Any]) -> Outcome:
    """Sum or maximum over some axes, which stay as axes of length 1 or go."""
    (x,), axes = inputs, settings["axes"]
    summands = math.prod(x.cuts[axis] for axis in axes)
    kept = [n for n in range(len(x.shape)) if settings["keep"] or n not in axes]
    return Outcome(
        tuple(1 if axis in axes else x.shape[axis] for axis in kept),
        tuple(1 if axis in axes else x.cuts[axis] for axis in kept),
        summands,
    )


def _one_hot(inputs: list[Value], settings: dict[str, Any]) -> Outcome:
    """ids [n] -> [n, depth], whose columns are cut as `column_cut` says."""
    (ids,), depth, cut = inputs, settings["depth"], settings["column_cut"]
    _need(depth % cut == 0, f"{cut} does not divide {depth} columns")
    return Outcome((*ids.shape, depth), (*ids.cuts, cut))


def _some_rows(inputs: list[Value], settings: dict[str, Any]) -> Outcome:
    """`rows` rows from the row `first` on."""
    (x,), end = inputs, settings["first"] + settings["rows"]
    _need(x.cuts[0] == 1, f"rows of {x} are cut")
    _need(end <= x.shape[0], f"{x} has fewer rows than {end}")
    return Outcome((settings["rows"], *x.shape[1:]), x.cuts)


def _reshape(inputs: list[Value], settings: dict[str, Any]) -> Outcome:
    """The cut blocks are reshaped where they are: in a run of axes only the first may be cut."""
    (x,), shape = inputs, settings["shape"]
    _need(math.prod(x.shape) == math.prod(shape), f"{x} does not become {shape}")
    cuts = [1] * len(shape)
    for old, new in _matching_axes(x.shape, shape):
        first = next((axis for axis in old if x.shape[axis] > 1), None)
        cut = math.prod(x.cuts[axis] for axis in old)
        _need(cut == 1 or (first is not None and x.cuts[first] == cut), f"cut in a row of {x}")
        target = next((axis for axis in new if shape[axis] > 1), None)
        if cut > 1:
            _need(
                target is not None and shape[target] % cut == 0, f"{x} cannot be {shape} in parts"
            )
            assert target is not None
            cuts[target] = cut
    return Outcome(shape, tuple(cuts))


def _matching_axes(old: Shape, new: Shape) -> list[tuple[list[int], list[int]]]:
    """The shortest runs of axes of two shapes that hold the same number of values."""
    runs, start_old, start_new = [], 0, 0
    while start_old < len(old) or start_new < len(new):
        stop_old, stop_new = start_old + 1, start_new + 1
        while math.prod(old[start_old:stop_old]) != math.prod(new[start_new:stop_new]):
            if math.prod(old[start_old:stop_old]) < math.prod(new[start_new:stop_new]):
                stop_old += 1
            else:
                stop_new += 1
        if stop_old >= len(old) or stop_new >= len(new):
            stop_old, stop_new = len(old), len(new)
        runs.append(
            (list(range(start_old, stop_old)), list(range(start_new, stop_new))),
        )
        start_old, start_new = stop_old, stop_new
    return runs


RULES: dict[str, Rule] = {
    **dict.fromkeys(("Add", "Sub", "Mul", "Minimum", "Equal"), _elementwise),
    **dict.fromkeys(("Exp", "Log", "Erf", "GeLU", "ReLU", "Cast"), _elementwise),
    **dict.fromkeys(("Scale", "Offset"), _elementwise),
    **dict.fromkeys(("Softmax", "LayerNorm"), _over_last_axis),
    **dict.fromkeys(("MatMul", "BatchMatMul"), _matmul),
    "Gather": _gather,
    "Transpose": _transpose,
    "Reshape": _reshape,
    **dict.fromkeys(("ReduceSum", "ReduceMax"), _reduce),
    "OneHot": _one_hot,
    "StridedSlice": _some_rows,
}
