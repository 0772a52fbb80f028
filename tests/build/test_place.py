"""Which part of the work a process has."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mindmlm import build
from mindmlm.config.schema import RunConfig
from mindmlm.errors import ConfigError
from mindmlm.parallel.layout import Coordinates, ParallelLayout
from mindmlm.runtime.world import World


def config(use_parallel, data=1, model=1, stages=1, batch_size=4, micro=1, accumulated=1):
    return RunConfig.model_validate(
        {
            "use_parallel": use_parallel,
            "parallel_config": {
                "data_parallel": data,
                "model_parallel": model,
                "pipeline_stage": stages,
                "micro_batch_num": micro,
            },
            "runner_config": {
                "batch_size": batch_size,
                "gradient_accumulation_steps": accumulated,
            },
        }
    )


def test_a_rank_finds_its_place_in_the_grid():
    given = config(True, data=2, model=2, stages=2)
    places = [build.place_of(given, World(rank, 8)) for rank in range(8)]
    assert {place.layout for place in places} == {ParallelLayout(2, 2, 2)}
    assert places[5].at == Coordinates(stage=1, data=0, model=1)
    # One rank for each part of the rows reads them, and one has their loss.
    assert [place.rank for place in places if place.reads_data] == [0, 2]
    assert [place.rank for place in places if place.has_loss] == [4, 6]
    assert [place.rank for place in places if place.is_main] == [0]
    assert places[0].ends.ranks == (0, 4)
    assert build.layout_record(places[3]) == {
        "data_parallel": 2,
        "model_parallel": 2,
        "pipeline_stage": 2,
    }


def test_degrees_do_not_count_in_one_process():
    place = build.place_of(config(False, data=4, model=2, stages=2), World())
    assert place.layout == ParallelLayout()
    assert (place.reads_data, place.has_loss, place.is_main) == (True, True, True)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8])
def test_another_number_of_processes_is_refused(size):
    with pytest.raises(ConfigError) as caught:
        build.place_of(config(True, data=2, stages=2), World(0, size))
    assert "data_parallel 2 x model_parallel 1 x pipeline_stage 2 needs 4 processes" in str(
        caught.value
    )
    assert f"{size} were started" in str(caught.value)


@given(
    st.integers(1, 4), st.integers(1, 3), st.integers(1, 3), st.integers(1, 4), st.integers(1, 3)
)
def test_the_rows_of_all_ranks_are_the_global_batch(data, model, stages, micro, accumulated):
    given = config(True, data, model, stages, 5, micro, accumulated)
    layout = ParallelLayout(data, model, stages)
    size = layout.world_size
    rows = []
    for rank in range(size):
        place = build.place_of(given, World(rank, size))
        batches = build.batch_layout(given, place)
        assert batches.global_batch_size == 5 * data * micro * accumulated
        if place.reads_data:
            for number in range(batches.micro_batches):
                first = batches.first_row(number)
                rows += range(first, first + batches.batch_size)
    assert sorted(rows) == list(range(5 * data * micro * accumulated))
