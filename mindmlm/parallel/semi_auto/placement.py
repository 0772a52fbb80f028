"""Which block of every tensor a rank has, as the engine has decided it. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from mindmlm.parallel.division import Block, Division


def block_of(
    whole: tuple[int, ...],
    device_matrix: Sequence[int],
    tensor_map: Sequence[int],
    rank: int,
    shard: tuple[int, int] = (0, 1),
) -> Block:
    """The block of a tensor that a rank has.

    Args:
        whole: shape of all of it.
        device_matrix: how the engine has laid out the cards of a stage.
        tensor_map: for every axis of the tensor, the axis of the device matrix, counted from its
            end, over which it is cut; -1 = over none. Empty = the whole tensor is everywhere.
        rank: of this process; ranks of later stages count on.
        shard: place and number of the parts into which parallel optimizers cut the first axis.

    Raises:
        ValueError: the cut is not even.
    """
    block = Block.all_of(whole)
    cards = int(np.prod(device_matrix)) if len(device_matrix) else 1
    place = np.unravel_index(rank % cards, tuple(device_matrix)) if cards > 1 else ()
    for axis, number in enumerate(tensor_map):
        if number >= 0 and cards > 1:
            parts = device_matrix[-1 - number]
            _check_even(block.shape[axis], parts, whole)
            block = block.part(axis, parts, int(place[-1 - number]))
    if shard[1] > 1:
        _check_even(block.shape[0], shard[1], whole)
        block = block.part(0, shard[1], shard[0])
    return block


def _check_even(length: int, parts: int, whole: tuple[int, ...]) -> None:
    if length % parts:
        raise ValueError(f"the engine cuts {length} of {list(whole)} into {parts} parts")


@dataclass(frozen=True)
class EngineDivision(Division):
    """What one rank has of a model: not worked out from a layout, but asked of the engine.

    The engine cuts weights and their state alike, so both are one block.

    Args:
        blocks: of the parameters of this rank's stage, by name.
        answered: names of those that this rank saves and counts: the first that has the block.
    """

    blocks: Mapping[str, Block] = field(default_factory=dict)
    answered: frozenset[str] = frozenset()

    def weight(self, name: str, whole: tuple[int, ...]) -> Block:
        """The block of the parameter that is here."""
        return self.blocks[name]

    def shard_axis(self, name: str, whole: tuple[int, ...]) -> int | None:
        """None: the state is cut as the weight is."""
        return None

    def answers_for_weight(self, name: str) -> bool:
        """Whether this rank saves it."""
        return name in self.answered

    def answers_for_state(self, name: str, whole: tuple[int, ...]) -> bool:
        """Whether this rank saves its optimizer state."""
        return name in self.answered


def first_to_have(blocks: Sequence[Mapping[str, Sequence[Sequence[int]]]], rank: int) -> set[str]:
    """Names of which `rank` is the first to have its block.

    Args:
        blocks: of every rank: name -> (start, shape).
        rank: the one that asks.
    """
    earlier = {(name, _key(where)) for other in blocks[:rank] for name, where in other.items()}
    return {name for name, where in blocks[rank].items() if (name, _key(where)) not in earlier}


def _key(where: Sequence[Sequence[int]]) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(part) for part in where)
