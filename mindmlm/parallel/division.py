"""Which block of every tensor a rank holds, updates and answers for. Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from mindmlm.models.plan import ParallelPlan
from mindmlm.parallel.layout import Coordinates, ParallelLayout, cut


@dataclass(frozen=True)
class Block:
    """The block [start, start + shape) of a tensor of the shape `whole`."""

    whole: tuple[int, ...]
    start: tuple[int, ...]
    shape: tuple[int, ...]

    @classmethod
    def all_of(cls, shape: tuple[int, ...]) -> "Block":
        """The whole tensor."""
        return cls(shape, (0,) * len(shape), shape)

    @property
    def slices(self) -> tuple[slice, ...]:
        """Index of the block in the whole tensor."""
        return tuple(slice(a, a + n) for a, n in zip(self.start, self.shape, strict=True))

    @property
    def size(self) -> int:
        """Number of values."""
        return math.prod(self.shape)

    def part(self, axis: int, parts: int, index: int) -> "Block":
        """Part `index` of the block along an axis."""
        start, stop = cut(self.shape[axis], parts, index)
        starts, shape = list(self.start), list(self.shape)
        starts[axis] += start
        shape[axis] = stop - start
        return Block(self.whole, tuple(starts), tuple(shape))


def shard_axis(shape: tuple[int, ...], parts: int) -> int | None:
    """The axis along which optimizer state is cut: the first that `parts` divides.

    None: there is none, and every rank keeps all of it (a few short vectors at most).
    """
    return next((axis for axis, length in enumerate(shape) if length % parts == 0), None)


@dataclass(frozen=True)
class Division:
    """What one rank has of a model.

    Args:
        layout: the grid.
        rank: this process.
        plan: which parameters are cut over the model axis.
        optimizer_shard: whether optimizer state is cut over the data axis (ZeRO-1, Rajbhandari et
            al. 2020, "P_os").
        tied: parameters that the first and the last stage both have.
    """

    layout: ParallelLayout
    rank: int
    plan: ParallelPlan
    optimizer_shard: bool = False
    tied: frozenset[str] = frozenset()

    @property
    def at(self) -> Coordinates:
        """Place of the rank in the grid."""
        return self.layout.coordinates(self.rank)

    def weight(self, name: str, whole: tuple[int, ...]) -> Block:
        """The block of the parameter that the model on this rank has."""
        block, axis = Block.all_of(whole), self.plan.axis(name)
        if axis is None:
            return block
        return block.part(axis, self.layout.model_parallel, self.at.model)

    def shard_axis(self, name: str, whole: tuple[int, ...]) -> int | None:
        """Along which axis of its block optimizer state is cut; None = not at all."""
        if not self.optimizer_shard or self.layout.data_parallel == 1:
            return None
        return shard_axis(self.weight(name, whole).shape, self.layout.data_parallel)

    def state(self, name: str, whole: tuple[int, ...]) -> Block:
        """The block of the parameter whose optimizer state this rank has and updates."""
        block, axis = self.weight(name, whole), self.shard_axis(name, whole)
        if axis is None:
            return block
        return block.part(axis, self.layout.data_parallel, self.at.data)

    def answers_for_weight(self, name: str) -> bool:
        """Whether this rank is the one of those with the same block that saves it."""
        return self.at.data == 0 and self._is_one_of_the_model(name)

    def answers_for_state(self, name: str, whole: tuple[int, ...]) -> bool:
        """As `answers_for_weight` for the block of `state`; also who counts its gradient."""
        sharded = self.shard_axis(name, whole) is not None
        return (sharded or self.at.data == 0) and self._is_one_of_the_model(name)

    def _is_one_of_the_model(self, name: str) -> bool:
        cut_here = self.plan.axis(name) is not None
        copy = name in self.tied and self.at.stage > 0
        return (cut_here or self.at.model == 0) and not copy


def bytes_of(shapes: Mapping[str, tuple[int, ...]], division: Division) -> dict[str, int]:
    """Bytes of float32 weights and AdamW state of this rank.

    Args:
        shapes: whole shapes of the trained parameters that its stage has.
        division: the rank.

    Returns:
        ``weights``; ``moments``, the two of AdamW; ``master``, the blocks of weights that a rank
        updates where they are a part of the weight.
    """
    weights = sum(division.weight(name, shape).size for name, shape in shapes.items())
    state = {name: division.state(name, shape).size for name, shape in shapes.items()}
    master = sum(
        state[name]
        for name, shape in shapes.items()
        if division.shard_axis(name, shape) is not None
    )
    return {"weights": 4 * weights, "moments": 8 * sum(state.values()), "master": 4 * master}
