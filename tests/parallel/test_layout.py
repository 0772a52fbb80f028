from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mindmlm.parallel.layout import Coordinates, ParallelLayout, cut

degrees = st.integers(1, 4)
layouts = st.builds(ParallelLayout, degrees, degrees, degrees)
GROUPS = {
    "data": (ParallelLayout.data_group, ("stage", "model")),
    "model": (ParallelLayout.model_group, ("stage", "data")),
    "stage": (ParallelLayout.stage_group, ("data", "model")),
    "replica": (ParallelLayout.replica_group, ("data",)),
}


@settings(deadline=None, max_examples=30)
@given(layouts)
def test_every_rank_has_a_place_of_its_own(layout: ParallelLayout) -> None:
    places = [layout.coordinates(rank) for rank in range(layout.world_size)]
    grid = product(
        range(layout.pipeline_stage), range(layout.data_parallel), range(layout.model_parallel)
    )
    # The order of the product is the order of the ranks: model runs fastest, stage slowest.
    assert places == [Coordinates(*place) for place in grid]
    assert [layout.rank(place) for place in places] == list(range(layout.world_size))


@settings(deadline=None, max_examples=30)
@given(layouts)
def test_rank_is_the_documented_formula(layout: ParallelLayout) -> None:
    for rank in range(layout.world_size):
        at = layout.coordinates(rank)
        row = at.stage * layout.data_parallel + at.data
        assert rank == row * layout.model_parallel + at.model


@pytest.mark.parametrize("axis", GROUPS)
@settings(deadline=None, max_examples=30)
@given(layout=layouts)
def test_groups_are_the_ranks_that_share_the_other_coordinates(
    axis: str, layout: ParallelLayout
) -> None:
    group_of, shared = GROUPS[axis]

    def key(rank: int) -> tuple[int, ...]:
        return tuple(getattr(layout.coordinates(rank), name) for name in shared)

    everyone = range(layout.world_size)
    for rank in everyone:
        assert group_of(layout, rank) == tuple(
            other for other in everyone if key(other) == key(rank)
        )


@pytest.mark.parametrize("axis", GROUPS)
@settings(deadline=None, max_examples=30)
@given(layout=layouts)
def test_groups_of_an_axis_partition_the_world(axis: str, layout: ParallelLayout) -> None:
    group_of, _ = GROUPS[axis]
    distinct = {group_of(layout, rank) for rank in range(layout.world_size)}
    assert sorted(rank for group in distinct for rank in group) == list(range(layout.world_size))
    assert all(group_of(layout, member) == group for group in distinct for member in group)


@settings(deadline=None, max_examples=30)
@given(layouts)
def test_ends_and_neighbours(layout: ParallelLayout) -> None:
    for rank in range(layout.world_size):
        stages, at = layout.stage_group(rank), layout.coordinates(rank)
        assert stages[at.stage] == rank
        assert layout.ends_group(rank) == tuple(dict.fromkeys((stages[0], stages[-1])))
        for distance in (-1, 1):
            place = at.stage + distance
            inside = 0 <= place < layout.pipeline_stage
            assert layout.neighbour(rank, distance) == (stages[place] if inside else None)


@settings(deadline=None, max_examples=30)
@given(layouts)
def test_all_groups_are_those_of_the_axes_once_each(layout: ParallelLayout) -> None:
    groups = layout.all_groups()
    assert len(set(groups)) == len(groups)
    wanted = {
        group_of(layout, rank)
        for group_of in (*(function for function, _ in GROUPS.values()), ParallelLayout.ends_group)
        for rank in range(layout.world_size)
    }
    wanted |= {
        (rank, below)
        for rank in range(layout.world_size)
        if (below := layout.neighbour(rank, 1)) is not None
    }
    assert set(groups) == {group for group in wanted if len(group) > 1}
    assert groups == ParallelLayout(*vars(layout).values()).all_groups()


def test_the_layout_of_the_13b_example() -> None:
    layout = ParallelLayout(data_parallel=4, model_parallel=2, pipeline_stage=4)
    assert layout.world_size == 32
    assert layout.coordinates(21) == Coordinates(stage=2, data=2, model=1)
    assert layout.model_group(21) == (20, 21)
    assert layout.data_group(21) == (17, 19, 21, 23)
    assert layout.stage_group(21) == (5, 13, 21, 29)
    assert layout.replica_group(21) == (4, 5, 12, 13, 20, 21, 28, 29)


def test_one_process_needs_no_group() -> None:
    assert ParallelLayout().world_size == 1
    assert ParallelLayout().all_groups() == ()


@pytest.mark.parametrize("degrees", [(0, 1, 1), (1, -1, 1), (1, 1, 0)])
def test_degrees_below_one_are_refused(degrees: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        ParallelLayout(*degrees)


@pytest.mark.parametrize("rank", [-1, 8, 100])
def test_a_rank_outside_of_the_grid_is_refused(rank: int) -> None:
    with pytest.raises(ValueError, match=f"rank {rank} is not one of the 8"):
        ParallelLayout(2, 2, 2).coordinates(rank)


@given(st.integers(0, 2000), st.integers(1, 40))
def test_cut_is_array_split(length: int, parts: int) -> None:
    pieces = [np.arange(length)[slice(*cut(length, parts, index))] for index in range(parts)]
    for piece, expected in zip(pieces, np.array_split(np.arange(length), parts), strict=True):
        assert np.array_equal(piece, expected)


@pytest.mark.parametrize("arguments", [(5, 2, 2), (5, 2, -1), (-1, 2, 0), (5, 0, 0)])
def test_a_part_that_does_not_exist_is_refused(arguments: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="does not exist"):
        cut(*arguments)
