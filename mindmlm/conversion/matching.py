"""Pairing the tensors of a file with the parameters of a model, without guessing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

import numpy as np

from mindmlm.conversion import report as kinds
from mindmlm.conversion.report import Report, shortened
from mindmlm.conversion.source import BFLOAT16, TensorInfo, TensorSource
from mindmlm.conversion.tables.base import NameTable, Recipe
from mindmlm.errors import CheckpointError

OWN_NAMES = NameTable(library="mindmlm", entries=())
_ROWS = 4096


@dataclass(frozen=True)
class Allowances:
    """Patterns (`head.*`) of our names that may be missing, of theirs that may be left over."""

    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()


@dataclass
class Match:
    """A source under our names.

    `recipes` says how each parameter is made, `fresh` lists those that the source does not have
    and that were allowed to be missing, `zero` those that are zeros because its kind of model has
    none, `shapes` those that the model wants.
    """

    source: TensorSource
    shapes: Mapping[str, tuple[int, ...]]
    recipes: dict[str, Recipe]
    fresh: list[str]
    report: Report
    resized: frozenset[str] = field(default_factory=frozenset)
    zero: frozenset[str] = field(default_factory=frozenset)

    def read(self, name: str) -> np.ndarray:
        """Return the parameter ``name`` in float32; it may be a read-only, transposed view.

        Raises:
            CheckpointError: the bytes are damaged.
        """
        if name in self.zero:
            return np.zeros(self.shapes[name], np.float32)
        recipe = self.recipes[name]
        array = self.source.read(recipe.theirs)
        if recipe.transposed:
            array = array.T
        if recipe.parts > 1:
            length = array.shape[0] // recipe.parts
            array = array[recipe.part * length : (recipe.part + 1) * length]
        return array.astype(np.float32, copy=False)


def choose_table(
    tables: Sequence[NameTable], source: TensorSource, wanted: Mapping[str, tuple[int, ...]]
) -> NameTable:
    """Return the table under whose names most of the wanted parameters are found.

    Raises:
        CheckpointError: under none is there a single one.
    """

    def found(table: NameTable) -> int:
        names = table.canonical(source.tensors)
        return sum(recipe.theirs in names for recipe in recipes_of(table, wanted).values())

    best = max((OWN_NAMES, *tables), key=found)
    if not found(best):
        some = "\n  ".join(shortened(list(source.tensors)))
        raise CheckpointError(
            f"{source.path}: none of its tensors has a name that is known for this model; it "
            f"holds\n  {some}"
        )
    return best


def recipes_of(table: NameTable, wanted: Mapping[str, tuple[int, ...]]) -> dict[str, Recipe]:
    """Return how the wanted parameters are made with the names of a table."""
    if table is OWN_NAMES:
        return {name: Recipe(name, transposed=False) for name in wanted}
    return table.recipes(wanted)


def match(
    source: TensorSource,
    tables: Sequence[NameTable],
    wanted: Mapping[str, tuple[int, ...]],
    allowances: Allowances,
    resized: frozenset[str] = frozenset(),
) -> Match:
    """Find every wanted parameter in a source.

    Args:
        source: the file.
        tables: the names that it may use.
        wanted: our name -> shape.
        allowances: what may be missing or left over.
        resized: our names whose number of rows may differ, because the caller changes it.

    Raises:
        CheckpointError: anything is missing, left over, of another shape, or tied and yet
            different; all of it is listed.
    """
    table = choose_table(tables, source, wanted)
    report = Report(str(source.path), source.format, table.library)
    names = table.canonical(source.tensors)
    _check_ties(source, table, names, report)
    wanted_recipes = recipes_of(table, wanted)
    recipes: dict[str, Recipe] = {}
    fresh: list[str] = []
    for ours, shape in wanted.items():
        if ours in table.zero:
            report.add(kinds.FRESH, ours=ours, note=f"{report.names} has none; zeros")
            continue
        recipe = wanted_recipes.get(ours)
        if recipe is None or recipe.theirs not in names:
            _note_missing(ours, recipe, allowances, fresh, report)
            continue
        stored = Recipe(names[recipe.theirs], recipe.transposed, recipe.part, recipe.parts)
        recipes[ours] = stored
        _note_found(ours, shape, stored, source.tensors[stored.theirs], ours in resized, report)
    used = {recipe.theirs for recipe in recipes.values()}
    _note_rest(source, table, names, used, allowances, report)
    _raise_faults(report)
    zero = frozenset(table.zero) & wanted.keys()
    return Match(source, wanted, recipes, fresh, report, resized, zero)


def _note_missing(
    ours: str, recipe: Recipe | None, allowances: Allowances, fresh: list[str], report: Report
) -> None:
    expected = f"expected as {recipe.theirs}" if recipe else f"{report.names} has no name for it"
    if _is_allowed(ours, allowances.missing):
        fresh.append(ours)
        report.add(kinds.FRESH, ours=ours, note=f"not in the file; {expected}")
    else:
        report.add(kinds.MISSING, ours=ours, note=expected)


def _note_found(
    ours: str,
    shape: tuple[int, ...],
    recipe: Recipe,
    info: TensorInfo,
    resized: bool,
    report: Report,
) -> None:
    found = _shape_of(recipe, info)
    if info.dtype not in ("float32", "float16", "float64", BFLOAT16):
        note = f"{info.dtype}, which is no type of weights"
        report.add(kinds.WRONG_SHAPE, recipe.theirs, ours, note)
    elif found != shape and not (resized and found[1:] == shape[1:]):
        note = f"{list(found)} in the file, {list(shape)} in the model"
        report.add(kinds.WRONG_SHAPE, recipe.theirs, ours, note)
    elif recipe.parts > 1:
        report.add(kinds.DIVIDED, recipe.theirs, ours, f"part {recipe.part + 1} of {recipe.parts}")
    else:
        what = kinds.TRANSPOSED if recipe.transposed and len(shape) > 1 else kinds.LOADED
        report.add(what, recipe.theirs, ours, "" if info.dtype == "float32" else info.dtype)
    if info.dtype == "float64":
        report.add(kinds.NARROWED, recipe.theirs, ours, "float64 to float32")


def _shape_of(recipe: Recipe, info: TensorInfo) -> tuple[int, ...]:
    shape = info.shape[::-1] if recipe.transposed else info.shape
    if recipe.parts > 1 and shape and shape[0] % recipe.parts == 0:
        return (shape[0] // recipe.parts, *shape[1:])
    return shape


def _note_rest(
    source: TensorSource,
    table: NameTable,
    names: Mapping[str, str],
    used: set[str],
    allowances: Allowances,
    report: Report,
) -> None:
    noted = used | {line.theirs for line in report.of(kinds.TIED)}
    for full, name in names.items():
        if name in noted:
            continue
        reason = next((r for p, r in table.left_out.items() if fnmatchcase(full, p)), None)
        if reason is None and _is_allowed(name, allowances.unexpected):
            reason = "allowed to be left over"
        if reason is not None:
            report.add(kinds.LEFT_OUT, name, note=reason)
        else:
            report.add(kinds.UNEXPECTED, name, note=f"{list(source.tensors[name].shape)}")


def _check_ties(
    source: TensorSource, table: NameTable, names: dict[str, str], report: Report
) -> None:
    """Compare what must be equal; where only the copy is there, it stands for the original."""
    for copy, original in table.tied.items():
        if copy in names and original not in names:
            names[original] = names.pop(copy)
        elif copy in names:
            if not _equal(source, names[copy], names[original]):
                raise CheckpointError(
                    f"{source.path}: {names[copy]} and {names[original]} are one tensor in this "
                    "model, and they differ in the file; a model that does not tie them cannot "
                    "be converted"
                )
            report.add(kinds.TIED, names[copy], note=f"equal to {names[original]}")


def _equal(source: TensorSource, one: str, other: str) -> bool:
    if source.tensors[one] != source.tensors[other]:
        return False
    first, second = source.read(one), source.read(other)
    if first.__array_interface__ == second.__array_interface__:
        return True  # one storage, under two names
    # Row by row, so that no copy of the whole is made.
    return all(
        np.array_equal(first[at : at + _ROWS], second[at : at + _ROWS], equal_nan=True)
        for at in range(0, len(first), _ROWS)
    )


def _is_allowed(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _raise_faults(report: Report) -> None:
    faults = report.of(*kinds.FAULTS)
    if not faults:
        return
    listed = "\n  ".join(
        text
        for kind in kinds.FAULTS
        for text in shortened([line.text() for line in report.of(kind)])
    )
    hints = []
    if report.of(kinds.MISSING):
        hints.append("tools/convert_checkpoint.py --allow_missing 'PATTERN' makes them anew")
    if report.of(kinds.UNEXPECTED):
        hints.append("tools/convert_checkpoint.py --allow_unexpected 'PATTERN' leaves them out")
    if report.of(kinds.WRONG_SHAPE):
        hints.append("shapes follow from the model's configuration: is it the right one?")
    raise CheckpointError(
        f"{report.source}: {len(faults)} tensors do not fit the model ({report.names} names):\n  "
        f"{listed}\n({'; '.join(hints)})"
    )
