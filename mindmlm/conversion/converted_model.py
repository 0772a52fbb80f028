"""The model on its way: our names, float32, one tensor at a time, from wherever it comes."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from mindmlm.checkpoint.shards import TensorSpec
from mindmlm.conversion import report as kinds
from mindmlm.conversion.matching import OWN_NAMES, Match, recipes_of
from mindmlm.conversion.report import Report
from mindmlm.conversion.tables.base import NameTable
from mindmlm.models.initialization import initial_value

# 256 KB, which the cache of a core holds.
_CHUNK_VALUES = 2**16


@dataclass
class ConvertedModel:
    """Parameters by our names.

    Attributes:
        shapes: of every parameter.
        read: returns one of them in float32; it may be a read-only, transposed view.
        report: grows by a line for each tensor with a NaN or an infinity.
    """

    shapes: Mapping[str, tuple[int, ...]]
    read: Callable[[str], np.ndarray]
    report: Report

    def checked(self, name: str) -> np.ndarray:
        """Return a parameter and note it in the report if it is not finite."""
        array = self.read(name)
        bad = count_not_finite(array)
        if bad:
            self.report.add(kinds.NOT_FINITE, ours=name, note=f"{bad} NaN or infinite values")
        return array


def from_match(found: Match, seed: int, deviation: Callable[[str], float]) -> ConvertedModel:
    """Return the model of a match.

    What was allowed to be missing gets its initial value, from ``seed`` and the spread that
    ``deviation`` says for its name.
    """

    def read(name: str) -> np.ndarray:
        if name in found.recipes or name in found.zero:
            return found.read(name)
        return initial_value(name, found.shapes[name], seed, deviation(name))

    return ConvertedModel(found.shapes, read, found.report)


def count_not_finite(array: np.ndarray) -> int:
    """Return how many values are NaN or infinite; memory: 64 KB."""
    if not array.flags.c_contiguous:
        array = array.T
    flat = array.reshape(-1)
    parts = range(0, flat.size, _CHUNK_VALUES)
    finite = sum(np.count_nonzero(np.isfinite(flat[at : at + _CHUNK_VALUES])) for at in parts)
    return flat.size - int(finite)


@dataclass(frozen=True)
class Exported:
    """The tensors of a model under the names of a library.

    Attributes:
        specs: type and shape of each.
        read: returns one of them.
    """

    specs: dict[str, TensorSpec]
    read: Callable[[str], np.ndarray]

    def items(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yield the tensors one by one."""
        for name in self.specs:
            yield name, self.read(name)


def export(model: ConvertedModel, table: NameTable) -> Exported:
    """Give a model the names of a library: the inverse of `match`."""
    holders: dict[str, list[str]] = {}
    recipes = recipes_of(table, model.shapes)
    for ours, recipe in recipes.items():
        holders.setdefault(recipe.theirs, []).append(ours)
    for names in holders.values():
        names.sort(key=lambda ours: recipes[ours].part)

    def shape(theirs: str) -> tuple[int, ...]:
        parts = [model.shapes[ours] for ours in holders[theirs]]
        whole = (sum(part[0] for part in parts), *parts[0][1:]) if len(parts) > 1 else parts[0]
        return whole[::-1] if recipes[holders[theirs][0]].transposed else whole

    def read(theirs: str) -> np.ndarray:
        parts = [model.checked(ours) for ours in holders[theirs]]
        whole = np.concatenate(parts) if len(parts) > 1 else parts[0]
        return whole.T if recipes[holders[theirs][0]].transposed else whole

    return Exported({name: TensorSpec("float32", shape(name)) for name in holders}, read)


def under_own_names(model: ConvertedModel) -> Exported:
    """Return the model as it is stored in our own checkpoints."""
    return export(model, OWN_NAMES)
