"""Divide a model as its plan says: put Cells of `parallel.tensor` in the places it names."""

from collections.abc import Iterable
from fnmatch import fnmatchcase

from mindspore import nn

from mindmlm.models.functional import MostLikely
from mindmlm.models.losses import WeightedCrossEntropy
from mindmlm.models.plan import ParallelPlan
from mindmlm.parallel.groups import Group
from mindmlm.parallel.layout import cut
from mindmlm.parallel.tensor import (
    Divided,
    DividedCrossEntropy,
    DividedLookup,
    DividedMostLikely,
    Summed,
)


def divide_model(model: nn.Cell, plan: ParallelPlan, group: Group, vocab_size: int) -> None:
    """Change `model` in place into this member's part of it.

    Only Cells change places here; the blocks of the parameters are those of `Division.weight`,
    and are put in when the parameters get their values.

    Args:
        model: built for one device, its parameters not yet filled.
        plan: what is cut.
        group: the model axis.
        vocab_size: rows of the tables of `plan.lookups`.

    Raises:
        ValueError: the plan names a cell that the model does not have in any layer.
    """
    if group.size == 1:
        return
    start, stop = cut(vocab_size, group.size, group.index)
    cells = dict(model.cells_and_names())
    for name in _matching(cells, plan.leave):
        _replace(cells, name, Summed(cells[name], group))
    for name in _matching(cells, plan.enter):
        _replace(cells, name, Divided(cells[name], group))
    for name in _matching(cells, plan.lookups):
        _replace(cells, name, DividedLookup(group, start, stop))


def divide_vocabulary(cell: nn.Cell, group: Group, vocab_size: int) -> None:
    """Let the loss and the accuracy of a task work on logits divided over the vocabulary.

    Args:
        cell: a loss or an evaluation; its own `WeightedCrossEntropy` and `MostLikely` change.
        group: the model axis.
        vocab_size: columns of the logits.
    """
    if group.size == 1:
        return
    start, stop = cut(vocab_size, group.size, group.index)
    cells = {"": cell, **{name: child for name, child in cell.name_cells().items()}}
    for name, child in cell.name_cells().items():
        if isinstance(child, WeightedCrossEntropy):
            _replace(cells, name, DividedCrossEntropy(group, start, stop))
        elif isinstance(child, MostLikely):
            _replace(cells, name, DividedMostLikely(group, start))


def _matching(cells: dict[str, nn.Cell], patterns: Iterable[str]) -> list[str]:
    return [name for name in cells if any(fnmatchcase(name, pattern) for pattern in patterns)]


def _replace(cells: dict[str, nn.Cell], name: str, new: nn.Cell) -> None:
    """Put a cell in the place of another one; the names of parameters stay as they are."""
    parent, _, attribute = name.rpartition(".")
    owner = cells[parent]
    delattr(owner, attribute)
    # Assigning would put the attribute's name in front of every parameter's once more.
    owner.insert_child_to_cell(attribute, new)
