"""This process among the others. Pure."""

from dataclasses import dataclass

from mindmlm.parallel.groups import Group
from mindmlm.parallel.layout import Coordinates, ParallelLayout


@dataclass(frozen=True)
class Place:
    """A rank in the grid, and the groups it belongs to.

    Args:
        layout: the grid.
        rank: this process.
    """

    layout: ParallelLayout
    rank: int

    @classmethod
    def alone(cls) -> "Place":
        """One process without others."""
        return cls(ParallelLayout(), 0)

    @property
    def at(self) -> Coordinates:
        """Coordinates of the rank."""
        return self.layout.coordinates(self.rank)

    @property
    def world(self) -> Group:
        """All ranks."""
        return Group(tuple(range(self.layout.world_size)), self.rank)

    @property
    def data(self) -> Group:
        """Ranks with the same weights and other samples."""
        return Group(self.layout.data_group(self.rank), self.rank)

    @property
    def model(self) -> Group:
        """Ranks with the other parts of this rank's layers."""
        return Group(self.layout.model_group(self.rank), self.rank)

    @property
    def ends(self) -> Group:
        """First and last stage, if this rank is one of them; else the rank alone."""
        ends = self.layout.ends_group(self.rank)
        return Group(ends if self.rank in ends else (self.rank,), self.rank)

    @property
    def is_main(self) -> bool:
        """Whether this process speaks for all of them: it logs, and completes what is saved."""
        return self.rank == 0

    @property
    def reads_data(self) -> bool:
        """Whether its samples count, one rank for each part of the global batch."""
        return self.at.stage == 0 and self.at.model == 0

    @property
    def has_loss(self) -> bool:
        """Whether its loss counts, one rank for each part of the global batch."""
        return self.at.stage == self.layout.pipeline_stage - 1 and self.at.model == 0
