"""Which rank does what: the grid (pipeline stage, data, model) and its groups. Pure numpy."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Coordinates:
    """Place of a rank in the grid; every number counts from 0.

    Args:
        stage: which part of the layers it holds.
        data: which rows of the global batch it trains on.
        model: which slice of every cut weight it holds.
    """

    stage: int
    data: int
    model: int


@dataclass(frozen=True)
class ParallelLayout:
    """The grid of all ranks.

    ``rank = (stage * data_parallel + data) * model_parallel + model``: the ranks that talk most,
    those of one model group, are neighbours and so on one machine; stages are furthest apart.
    The same order as in MindFormers' ``parallel_config``.

    Args:
        data_parallel: copies of the model, each with its own rows.
        model_parallel: slices that each cut weight is divided into.
        pipeline_stage: parts that the layers are divided into.

    Raises:
        ValueError: a degree below 1.
    """

    data_parallel: int = 1
    model_parallel: int = 1
    pipeline_stage: int = 1

    def __post_init__(self) -> None:
        if min(self._shape) < 1:
            raise ValueError(f"every degree of a layout is at least 1, not {self}")

    @property
    def world_size(self) -> int:
        """Number of processes."""
        return self.data_parallel * self.model_parallel * self.pipeline_stage

    @property
    def _shape(self) -> tuple[int, int, int]:
        return self.pipeline_stage, self.data_parallel, self.model_parallel

    @property
    def _grid(self) -> np.ndarray:
        return np.arange(self.world_size).reshape(self._shape)

    def coordinates(self, rank: int) -> Coordinates:
        """Place of `rank`.

        Raises:
            ValueError: there is no such rank.
        """
        if not 0 <= rank < self.world_size:
            raise ValueError(f"rank {rank} is not one of the {self.world_size} ranks of {self}")
        return Coordinates(*(int(part) for part in np.unravel_index(rank, self._shape)))

    def rank(self, coordinates: Coordinates) -> int:
        """The rank at a place.

        Raises:
            ValueError: the place is outside of the grid.
        """
        place = (coordinates.stage, coordinates.data, coordinates.model)
        return int(np.ravel_multi_index(place, self._shape))

    def data_group(self, rank: int) -> tuple[int, ...]:
        """Ranks that hold the same weights and see other rows; gradients are averaged in it."""
        at = self.coordinates(rank)
        return _ranks(self._grid[at.stage, :, at.model])

    def model_group(self, rank: int) -> tuple[int, ...]:
        """Ranks that hold the slices of the same layers and see the same rows."""
        at = self.coordinates(rank)
        return _ranks(self._grid[at.stage, at.data, :])

    def stage_group(self, rank: int) -> tuple[int, ...]:
        """Ranks of all stages with this rank's data and model coordinate, first stage first."""
        at = self.coordinates(rank)
        return _ranks(self._grid[:, at.data, at.model])

    def replica_group(self, rank: int) -> tuple[int, ...]:
        """Ranks that together hold one copy of the model: all with this data coordinate."""
        return _ranks(self._grid[:, self.coordinates(rank).data, :])

    def ends_group(self, rank: int) -> tuple[int, ...]:
        """First and last rank of the stage group: where a tied embedding lives twice."""
        stages = self.stage_group(rank)
        return stages if len(stages) == 1 else (stages[0], stages[-1])

    def neighbour(self, rank: int, distance: int) -> int | None:
        """The rank `distance` stages further (+1) or before (-1); None beyond an end."""
        at = self.coordinates(rank)
        stage = at.stage + distance
        if not 0 <= stage < self.pipeline_stage:
            return None
        return self.rank(Coordinates(stage, at.data, at.model))

    def all_groups(self) -> tuple[tuple[int, ...], ...]:
        """Every group of two or more ranks that this layout uses, each once, in a fixed order.

        Data, model, stage, replica and ends groups and pairs of neighbouring stages. All
        processes must create groups in one order, whether they are members or not; a group of
        one needs no communication.
        """
        found: dict[tuple[int, ...], None] = {}
        for members in (
            self.data_group,
            self.model_group,
            self.stage_group,
            self.replica_group,
            self.ends_group,
            self._pair_below,
        ):
            found |= dict.fromkeys(members(rank) for rank in range(self.world_size))
        return tuple(group for group in found if len(group) > 1)

    def _pair_below(self, rank: int) -> tuple[int, ...]:
        below = self.neighbour(rank, 1)
        return (rank,) if below is None else (rank, below)


def cut(length: int, parts: int, index: int) -> tuple[int, int]:
    """Return (start, stop) of part `index` of `length` items cut into `parts`.

    As `numpy.array_split`: the first ``length % parts`` parts are longer by one.

    Raises:
        ValueError: there is no such part, or `length` is negative.
    """
    if length < 0 or not 0 <= index < parts:
        raise ValueError(f"part {index} of {parts} of {length} items does not exist")
    short, longer = divmod(length, parts)
    start = index * short + min(index, longer)
    return start, start + short + (index < longer)


def _ranks(members: np.ndarray) -> tuple[int, ...]:
    return tuple(int(rank) for rank in members.ravel())
