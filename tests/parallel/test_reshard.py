"""What the ranks of one layout have written is read by those of any other: the pure part."""

import math
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mindmlm.checkpoint import (
    Placement,
    begin_checkpoint,
    commit_checkpoint,
    read_checkpoint,
    write_shard,
)
from mindmlm.models.plan import ParallelPlan
from mindmlm.parallel.division import Division
from mindmlm.parallel.layout import ParallelLayout, cut

# The tied tensor is on the first and on the last stage, the others on one stage each.
TIED = "tied"


@st.composite
def layouts(draw):
    """Up to 8 ranks."""
    degrees = [1, 1, 1]
    for axis in draw(st.permutations(range(3))):
        degrees[axis] = draw(st.integers(1, 8 // math.prod(degrees)))
    return ParallelLayout(*degrees)


@st.composite
def models(draw):
    """Shapes by name, and the axes that a layout of the model cuts."""
    names = [TIED, *(f"layer{number}" for number in range(draw(st.integers(1, 5))))]
    shapes = {name: tuple(draw(st.lists(st.integers(1, 13), max_size=3))) for name in names}
    axes = {
        name: draw(st.integers(0, len(shape) - 1))
        for name, shape in shapes.items()
        if shape and draw(st.booleans())
    }
    return shapes, ParallelPlan(axes)


def names_here(names, division):
    """The tensors of a rank's stage."""
    layers = [name for name in names if name != TIED]
    stages, stage = division.layout.pipeline_stage, division.at.stage
    here = layers[slice(*cut(len(layers), stages, stage))]
    return [*here, TIED] if stage in (0, stages - 1) else here


def divisions(layout, plan, shards):
    return [
        Division(layout, rank, plan, shards, frozenset({TIED})) for rank in range(layout.world_size)
    ]


def blocks(name, shape, division):
    """What a rank holds of a tensor's weight and of its optimizer state."""
    return {"model": division.weight(name, shape), "optimizer": division.state(name, shape)}


def write(root, tensors, ranks):
    """Let all ranks write what they answer for."""
    folder = begin_checkpoint(root, 1)
    shards = []
    for division in ranks:
        for group, wholes in tensors.items():
            mine, placements = {}, {}
            for name in names_here(wholes, division):
                shape = wholes[name].shape
                answers = (
                    division.answers_for_weight(name)
                    if group == "model"
                    else division.answers_for_state(name, shape)
                )
                if answers:
                    block = blocks(name, shape, division)[group]
                    mine[name] = wholes[name][block.slices]
                    placements[name] = Placement(block.whole, block.start)
            if mine or division.rank == 0:
                shards.append(write_shard(folder, group, mine, division.rank, placements))
    degrees = {"data_parallel": 1, "model_parallel": 1, "pipeline_stage": 1}
    return commit_checkpoint(
        root, 1, shards, state={}, config={}, layout=degrees, keep_checkpoint_max=1
    )


@settings(deadline=None, max_examples=60)
@given(models(), layouts(), layouts(), st.booleans(), st.booleans(), st.integers(0, 99))
def test_any_layout_reads_what_any_other_has_written(
    model, first, second, shards_first, shards_second, seed
):
    shapes, plan = model
    rng = np.random.default_rng(seed)
    tensors = {
        group: {
            name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()
        }
        for group in ("model", "optimizer")
    }
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder), tensors, divisions(first, plan, shards_first))
        checkpoint = read_checkpoint(path)
        for division in divisions(second, plan, shards_second):
            for group, wholes in tensors.items():
                wanted = {
                    name: blocks(name, shapes[name], division)[group].slices
                    for name in names_here(wholes, division)
                }
                found = dict(checkpoint.blocks(group, wanted))
                assert found.keys() == wanted.keys()
                for name, array in found.items():
                    expected = wholes[name][wanted[name]]
                    assert array.shape == expected.shape
                    assert array.tobytes() == expected.tobytes()


@settings(deadline=None)
@given(models(), layouts(), st.booleans())
def test_every_value_has_one_rank_that_answers_for_it(model, layout, shards):
    shapes, plan = model
    for name, shape in shapes.items():
        weights, state = np.zeros(shape, int), np.zeros(shape, int)
        for division in divisions(layout, plan, shards):
            if name in names_here(shapes, division):
                if division.answers_for_weight(name):
                    weights[division.weight(name, shape).slices] += 1
                if division.answers_for_state(name, shape):
                    state[division.state(name, shape).slices] += 1
        assert (weights == 1).all()
        assert (state == 1).all()
