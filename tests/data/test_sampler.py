import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mindmlm.data.hashing import derive_keys, mix64, random_bits
from mindmlm.data.sampler import GlobalOrder


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 3000), st.integers(-(2**40), 2**64), st.integers(0, 2**30), st.booleans())
def test_every_epoch_is_a_permutation(n: int, seed: int, epoch: int, shuffle: bool) -> None:
    ids, epochs = GlobalOrder(n, seed, shuffle).at(epoch * n, n)
    assert ids.dtype == epochs.dtype == np.int64
    assert (epochs == epoch).all()
    assert sorted(ids.tolist()) == list(range(n))
    assert shuffle or ids.tolist() == list(range(n))


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 500), st.integers(0, 2000), st.integers(1, 700), st.integers(1, 699))
def test_any_part_of_the_stream_is_the_same(n: int, start: int, count: int, cut: int) -> None:
    order = GlobalOrder(n, 5)
    ids, epochs = order.at(start, count)
    cut = min(cut, count)
    left, right = order.at(start, cut), GlobalOrder(n, 5).at(start + cut, count - cut)
    assert (np.concatenate([left[0], right[0]]) == ids).all()
    assert (np.concatenate([left[1], right[1]]) == epochs).all()
    assert (epochs == np.arange(start, start + count) // n).all()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9000), st.integers(0, 5000)), min_size=2, max_size=6))
def test_what_was_asked_before_changes_nothing(parts: list[tuple[int, int]]) -> None:
    order = GlobalOrder(777, 5)
    for start, count in parts:
        ids, epochs = order.at(start, count)
        fresh_ids, fresh_epochs = GlobalOrder(777, 5).at(start, count)
        assert (ids == fresh_ids).all()
        assert (epochs == fresh_epochs).all()
        ids += 1
        epochs += 1


@pytest.mark.parametrize("n", [2**40 + 15, 999_999_999_989, 2**61 - 1])
def test_huge_data_sets_need_no_table(n: int) -> None:
    ids, _ = GlobalOrder(n, 3).at(n - 50_000, 100_000)
    assert (ids >= 0).all()
    assert (ids < n).all()
    assert len(np.unique(ids[:50_000])) == len(np.unique(ids[50_000:])) == 50_000
    assert abs(ids.mean() / n - 0.5) < 5 / math.sqrt(12 * 100_000)


def test_a_million_samples_once_each() -> None:
    ids, _ = GlobalOrder(1_000_003, 8).at(0, 1_000_003)
    assert (np.bincount(ids) == 1).all()


def test_places_are_uniform_over_seeds_and_epochs() -> None:
    n, draws = 7, 100_002
    counts = np.zeros((n, n))
    order = GlobalOrder(n, 12)
    ids, _ = order.at(0, n * (draws // n))
    np.add.at(counts, (np.arange(len(ids)) % n, ids), 1)
    expected = len(ids) / n / n
    chi_square = float(((counts - expected) ** 2 / expected).sum())
    assert abs(chi_square - (n - 1) ** 2) < 6 * math.sqrt(2 * (n - 1) ** 2)


def test_neighbours_are_not_related() -> None:
    ids, _ = GlobalOrder(100_000, 21).at(0, 100_000)
    correlation = np.corrcoef(ids[:-1], ids[1:])[0, 1]
    with_position = np.corrcoef(ids, np.arange(100_000))[0, 1]
    assert abs(correlation) < 5 / math.sqrt(100_000)
    assert abs(with_position) < 5 / math.sqrt(100_000)
    # A random permutation has one fixed point on average.
    assert (ids == np.arange(100_000)).sum() < 10


def test_epochs_and_seeds_differ() -> None:
    order = GlobalOrder(1000, 1)
    first, second = order.at(0, 1000)[0], order.at(1000, 1000)[0]
    other = GlobalOrder(1000, 2).at(0, 1000)[0]
    assert (first == second).mean() < 0.02
    assert (first == other).mean() < 0.02


def test_no_samples_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one"):
        GlobalOrder(0, 1)


def test_mix64_is_splitmix64() -> None:
    # First outputs of the published generator from state 0 (Vigna, splitmix64.c).
    bits = random_bits(np.zeros(1, np.uint64), 0, np.arange(3))
    assert [hex(value) for value in bits.tolist()] == [
        "0xe220a8397b1dcdaf",
        "0x6e789e6aa1b965f4",
        "0x6c45d188009454f",
    ]
    assert len(np.unique(mix64(np.arange(100_000, dtype=np.uint64)))) == 100_000


def test_half_of_the_bits_change_with_one_bit_of_a_coordinate() -> None:
    ids = np.arange(2000)
    flipped = derive_keys(3, ids, ids) ^ derive_keys(3, ids, ids ^ 1)
    ones = np.unpackbits(flipped.view(np.uint8)).mean()
    assert abs(ones - 0.5) < 5 * 0.5 / math.sqrt(64 * 2000)
    assert (derive_keys(3, ids, ids + 1) != derive_keys(3, ids + 1, ids)).all()
