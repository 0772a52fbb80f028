"""What one rank puts into a checkpoint and takes out of it."""

from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np
from mindspore import Parameter

from mindmlm.build.model import ModelOnRank, load_tensors
from mindmlm.checkpoint import Checkpoint, Placement
from mindmlm.parallel.division import Block
from mindmlm.parallel.place import Place


class Updates(Protocol):
    """Weights with the state of their optimizer: `Updater`, or what an engine has in its place."""

    @property
    def model(self) -> ModelOnRank:
        """The weights."""

    @property
    def names(self) -> Sequence[str]:
        """Of the trained parameters that are here."""

    @property
    def kinds(self) -> Sequence[str]:
        """What the names of its state begin with, before the name of a weight."""

    def state(self) -> Sequence[Parameter]:
        """Of the optimizer."""


def layout_record(place: Place) -> dict[str, int]:
    """The layout as a checkpoint remembers it."""
    layout = place.layout
    return {
        "data_parallel": layout.data_parallel,
        "model_parallel": layout.model_parallel,
        "pipeline_stage": layout.pipeline_stage,
    }


def tensors_to_save(
    updater: Updates,
) -> tuple[dict[str, dict[str, np.ndarray]], dict[str, Placement]]:
    """Blocks of weights and optimizer state that this rank answers for, and where they belong."""
    model, division = updater.model, updater.model.division
    weights = [value for value in model.parameters() if division.answers_for_weight(value.name)]
    blocks = {**model.blocks(), **_state_blocks(updater)}
    answered = {
        kind + name
        for kind in updater.kinds
        for name in updater.names
        if division.answers_for_state(name, model.shapes[name])
    }
    if model.place.is_main:
        answered |= {value.name for value in updater.state()} - _of_weights(updater)
    state = [value for value in updater.state() if value.name in answered]
    tensors = {"model": _arrays(weights), "optimizer": _arrays(state)}
    placements = {
        name: Placement(blocks[name].whole, blocks[name].start)
        for arrays in tensors.values()
        for name in arrays
    }
    return tensors, placements


def load_state(updater: Updates, checkpoint: Checkpoint) -> None:
    """Fill the optimizer with its blocks of a checkpoint's state; see `load_tensors`."""
    elsewhere = {kind + name for kind in updater.kinds for name in updater.model.names}
    load_tensors(updater.state(), _state_blocks(updater), checkpoint, "optimizer", elsewhere)


def _state_blocks(updater: Updates) -> dict[str, Block]:
    """The block of each value of the optimizer that is here.

    What has not the shape of its weight's block, or belongs to no weight, is whole on every rank.
    """
    model = updater.model
    blocks = {
        kind + name: model.division.state(name, model.shapes[name])
        for kind in updater.kinds
        for name in updater.names
    }
    for value in updater.state():
        shape = tuple(value.shape)
        if value.name not in blocks or blocks[value.name].shape != shape:
            blocks[value.name] = Block.all_of(shape)
    return blocks


def _of_weights(updater: Updates) -> set[str]:
    return {kind + name for kind in updater.kinds for name in updater.names}


def _arrays(parameters: Iterable[Parameter]) -> dict[str, np.ndarray]:
    return {value.name: value.asnumpy() for value in parameters}
