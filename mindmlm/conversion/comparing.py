"""What is the same and what differs between two checkpoints, of any formats."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mindmlm.conversion.matching import Allowances
from mindmlm.conversion.origin import match_origin, open_origin
from mindmlm.conversion.readers.own import OwnCheckpoint
from mindmlm.conversion.recognise import open_source
from mindmlm.conversion.source import TensorSource
from mindmlm.errors import CheckpointError

_ROWS = 4096
_EVERYTHING = Allowances(missing=("*",), unexpected=("*",))


@dataclass(frozen=True)
class Weights:
    """The tensors of one side: their shapes, and a function that reads one of them."""

    source: TensorSource
    shapes: Mapping[str, tuple[int, ...]]
    read: Callable[[str], np.ndarray]


def compare(first: Path, second: Path) -> dict[str, Any]:
    """Compare two checkpoints tensor by tensor, in JSON's types.

    Two formats are compared under our names and in float32; where a side does not say what model
    it is, the names in the files are compared. Two checkpoints of ours are compared with their
    optimizer, their state and their configuration as well.

    Raises:
        CheckpointError: a side is missing or damaged.
    """
    sources = open_source(first), open_source(second)
    if all(isinstance(source, OwnCheckpoint) for source in sources):
        one, other = map(_all_groups, sources)
    else:
        described = _weights(first), _weights(second)
        one, other = (
            weights if weights and all(described) else _stored(source)
            for weights, source in zip(described, sources, strict=True)
        )
    result = {
        "first": str(one.source.path),
        "second": str(other.source.path),
        **_compare_tensors(one, other),
        "state": {},
        "config": {},
    }
    if isinstance(one.source, OwnCheckpoint) and isinstance(other.source, OwnCheckpoint):
        result |= _compare_runs(one.source, other.source)
    keys = ("only_in_first", "only_in_second", "other_shape", "different", "state", "config")
    result["same"] = not any(result[key] for key in keys)
    return result


def _weights(path: Path) -> Weights | None:
    """Return a checkpoint under our names; None when its model is not described."""
    origin = open_origin(path)
    if origin.settings is None:
        return None
    found = match_origin(origin, _EVERYTHING)
    known = {name: shape for name, shape in found.shapes.items() if name in found.recipes}
    return Weights(origin.source, known, found.read)


def _all_groups(source: TensorSource) -> Weights:
    assert isinstance(source, OwnCheckpoint)
    groups = {
        group: OwnCheckpoint(source.checkpoint, group)
        for group in source.checkpoint.manifest.tensors
    }
    shapes = {
        f"{group}/{name}": info.shape
        for group, part in groups.items()
        for name, info in part.tensors.items()
    }

    def read(name: str) -> np.ndarray:
        group, _, tensor = name.partition("/")
        return groups[group].read(tensor)

    return Weights(source, shapes, read)


def _stored(source: TensorSource) -> Weights:
    shapes = {name: info.shape for name, info in source.tensors.items()}
    return Weights(source, shapes, source.read)


def _compare_tensors(one: Weights, other: Weights) -> dict[str, Any]:
    shared = [name for name in one.shapes if name in other.shapes]
    if not shared:
        raise CheckpointError(
            f"{one.source.path} and {other.source.path} have no tensor of one name; a config.json "
            "beside each says what model it is, so that the names can be translated"
        )
    moved, different = [], []
    for name in shared:
        if one.shapes[name] != other.shapes[name]:
            shapes = [list(one.shapes[name]), list(other.shapes[name])]
            moved.append({"name": name, "shapes": shapes})
        elif (found := _difference(one.read(name), other.read(name))) is not None:
            different.append({"name": name, **found})
    return {
        "only_in_first": [name for name in one.shapes if name not in other.shapes],
        "only_in_second": [name for name in other.shapes if name not in one.shapes],
        "other_shape": moved,
        "different": different,
        "equal": len(shared) - len(moved) - len(different),
    }


def _difference(one: np.ndarray, other: np.ndarray) -> dict[str, Any] | None:
    """Return how many values differ and by how much at most; None when all are equal."""
    one, other = np.atleast_1d(one), np.atleast_1d(other)
    count, largest = 0, 0.0
    for start in range(0, len(one), _ROWS):
        a, b = one[start : start + _ROWS], other[start : start + _ROWS]
        unequal = ~((a == b) | ((a != a) & (b != b)))
        if unequal.any():
            count += int(unequal.sum())
            gap = np.abs(a[unequal].astype(np.float64) - b[unequal].astype(np.float64))
            largest = max(largest, float(np.nan_to_num(gap, nan=np.inf).max()))
    finite = largest if np.isfinite(largest) else None
    return {"values": count, "largest_difference": finite} if count else None


def _compare_runs(one: OwnCheckpoint, other: OwnCheckpoint) -> dict[str, Any]:
    first, second = one.checkpoint, other.checkpoint
    return {
        "state": _changes(
            {"step": first.step, **first.state}, {"step": second.step, **second.state}
        ),
        "config": _changes(_flat(first.config), _flat(second.config)),
    }


def _changes(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, list[Any]]:
    keys = dict.fromkeys([*first, *second])
    return {
        key: [first.get(key), second.get(key)]
        for key in keys
        if (key in first) != (key in second) or first.get(key) != second.get(key)
    }


def _flat(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in content.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
