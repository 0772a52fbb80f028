"""A checkpoint of any layout loads in any other: every bit of weights and optimizer state."""

import pytest

from mindmlm.checkpoint import read_checkpoint, save_checkpoint

from .conftest import STARTS

GROUPS = ("model", "optimizer")
QUICK = STARTS[2]
MOVES = [
    pytest.param(origin, target, marks=() if start is QUICK else pytest.mark.slow)
    for start in STARTS
    for origin, target in start.move
]
SEVERAL = [
    pytest.param(name, marks=() if start is QUICK else pytest.mark.slow)
    for start in STARTS
    for name in start.train
    if start.ranks > 1
]


def assert_equal(mine, expected):
    for group in GROUPS:
        ours, theirs = mine.tensors(group), expected.tensors(group)
        assert ours.keys() == theirs.keys()
        assert all(ours[name].tobytes() == theirs[name].tobytes() for name in theirs)
    assert mine.state == expected.state


@pytest.mark.parametrize(("origin", "target"), MOVES)
def test_into_several_ranks(proof, origin, target):
    moved = proof.checkpoint(f"{origin} > {target}")
    assert_equal(moved, proof.checkpoint(origin))
    # It was written by the layout it went to.
    written = {name: [record.slices for record in moved.records(name).values()] for name in GROUPS}
    trained = proof.checkpoint(target)
    assert moved.layout == trained.layout
    assert written == {
        name: [record.slices for record in trained.records(name).values()] for name in GROUPS
    }


@pytest.mark.parametrize("name", SEVERAL)
def test_into_one_process(proof, name, graph_mode, tmp_path):
    from mindmlm import build
    from mindmlm.testing.small_run import SmallRun

    origin = proof.checkpoint(name)
    run = SmallRun.create(proof.load("one"), proof.folder / "cache")
    build.load_model(run.model, origin)
    build.load_state(run.updater, origin)
    tensors, _ = build.tensors_to_save(run.updater)
    saved = save_checkpoint(tmp_path, origin.step, tensors, dict(origin.state), {}, 1)
    assert_equal(read_checkpoint(saved), origin)


def test_every_layout_goes_somewhere_and_takes_the_one_of_one_process():
    several = [name for start in STARTS if start.ranks > 1 for name in start.train]
    moves = [move for start in STARTS for move in start.move]
    for name in several:
        if "unclipped" not in name:
            assert ("one", name) in moves
            assert any(origin == name for origin, _ in moves)
