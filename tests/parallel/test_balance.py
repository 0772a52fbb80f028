from itertools import combinations, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mindmlm.parallel.balance import balance

# Whole numbers: sums are exact, so that ties are ties.
chains = st.lists(st.integers(0, 9).map(float), min_size=1, max_size=9)


@st.composite
def problems(draw: st.DrawFn) -> tuple[list[float], int]:
    costs = draw(chains)
    return costs, draw(st.integers(1, len(costs)))


def every_cut(count: int, stages: int) -> list[list[tuple[int, int]]]:
    inner = combinations(range(1, count), stages - 1)
    return [list(pairwise((0, *borders, count))) for borders in inner]


def quality(costs: list[float], spans: list[tuple[int, int]]) -> tuple:
    lengths = tuple(stop - start for start, stop in spans)
    slowest = max(sum(costs[start:stop]) for start, stop in spans)
    return slowest, sum(length**2 for length in lengths), lengths


@settings(deadline=None)
@given(problems())
def test_no_other_cut_is_better(problem: tuple[list[float], int]) -> None:
    costs, stages = problem
    best = min(every_cut(len(costs), stages), key=lambda spans: quality(costs, spans))
    assert balance(costs, stages) == best


@settings(deadline=None)
@given(
    st.lists(st.floats(0, 1e12, allow_subnormal=False), min_size=1, max_size=60), st.integers(1, 20)
)
def test_any_costs_are_covered_by_stages_that_are_not_empty(costs, stages) -> None:
    stages = min(stages, len(costs))
    spans = balance(costs, stages)
    assert len(spans) == stages
    assert [part for start, stop in spans for part in range(start, stop)] == list(range(len(costs)))
    assert all(start < stop for start, stop in spans)


@pytest.mark.parametrize(("layers", "stages"), [(12, 4), (24, 8), (40, 4), (7, 3), (5, 5)])
def test_equal_layers_are_shared_evenly(layers: int, stages: int) -> None:
    lengths = [stop - start for start, stop in balance([1.0] * layers, stages)]
    assert max(lengths) - min(lengths) <= 1
    # The earlier stages hold more activations, so the longer ones come last.
    assert lengths == sorted(lengths)


def test_a_heavy_head_gives_its_stage_fewer_layers() -> None:
    # Twelve layers and a head as heavy as three of them: five, five, two and the head.
    spans = balance([1.0] * 12 + [3.0], 3)
    assert spans == [(0, 5), (5, 10), (10, 13)]


@pytest.mark.parametrize(
    ("costs", "stages", "message"),
    [
        ([1.0, 1.0], 3, "2 parts cannot be cut into 3 stages"),
        ([], 1, "0 parts"),
        ([1.0], 0, "into 0 stages"),
        ([1.0, -0.5], 1, "negative"),
    ],
)
def test_what_cannot_be_cut_is_refused(costs: list[float], stages: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        balance(costs, stages)
