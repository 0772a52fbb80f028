"""Bytes of weights and optimizer state of every rank, against numbers counted by hand.

Values of the model (width 64, inner width 96, 71 tokens, 33 positions, 2 segments, 4 layers):

* word 71 x 64 = 4,544; position 33 x 64 = 2,112; segment 128; norm 128: the embeddings have 6,912;
* a layer 29,344, of which each of 2 slices has 14,864 and each of 4 has 7,624; 384 of them (two
  biases, two norms) are not cut;
* head: dense 4,160, norm 128, bias 71 = 4,359; with the word embedding 8,903;
* the model 6,912 + 4 x 29,344 + 4,359 = 128,647.

A weight has 4 bytes, its two moments have 8. With ZeRO-1 a rank has its part of a weight a
second time. What no number of ranks divides (the bias of 71; with 3 ranks all but sides of 96 and
33) stays whole.
"""

import pytest
from safetensors import safe_open

from .conftest import STARTS

# Of each rank: weights, moments, parts of weights that it updates.
LIVE = {
    "one": [(514588, 1029176, 0)],
    "dp2": [(514588, 1029176, 0)] * 2,
    "dp2_zero": [(514588, 514872, 257152)] * 2,
    "tp2": [(282908, 565816, 0)] * 2,
    "tp2_vocabulary": [(273808, 547616, 0), (273548, 547096, 0)],
    "pp2": [(262400, 524800, 0), (270364, 540728, 0)],
    "dp3": [(514588, 1029176, 0)] * 3,
    "dp3_zero": [(514588, 753720, 68864)] * 3,
    "pp3": [(145024, 290048, 0), (234752, 469504, 0), (152988, 305976, 0)],
    "dp4": [(514588, 1029176, 0)] * 4,
    "dp4_zero": [(514588, 257720, 128576)] * 4,
    "tp4": [(167068, 334136, 0)] * 4,
    "tp4_vocabulary": [(153288, 306576, 0)] * 3 + [(153028, 306056, 0)],
    "pp4": [
        (145024, 290048, 0),
        (117376, 234752, 0),
        (117376, 234752, 0),
        (152988, 305976, 0),
    ],
    "dp2_tp2": [(282908, 565816, 0)] * 4,
    "dp2_tp2_zero_vocabulary": [(273808, 273808, 136904), (273548, 273688, 136704)] * 2,
    "dp2_pp2": [(262400, 524800, 0)] * 2 + [(270364, 540728, 0)] * 2,
    "dp2_pp2_zero": [(262400, 262400, 131200)] * 2 + [(270364, 270648, 135040)] * 2,
    "tp2_pp2": [(146560, 293120, 0)] * 2 + [(154524, 309048, 0)] * 2,
    "tp2_pp2_vocabulary": [
        (137600, 275200, 0),
        (137344, 274688, 0),
        (145424, 290848, 0),
        (145164, 290328, 0),
    ],
}
# In the shards of each rank: weights and moments. Of equal blocks the first rank writes one.
STORED = {
    "one": [(514588, 1029176)],
    "dp2": [(514588, 1029176), (0, 0)],
    "dp2_zero": [(514588, 514872), (0, 514304)],
    "tp2": [(282908, 565816), (231680, 463360)],
    "tp2_vocabulary": [(273808, 547616), (240780, 481560)],
    "pp2": [(262400, 524800), (252188, 504376)],
    "dp3": [(514588, 1029176), (0, 0), (0, 0)],
    "dp3_zero": [(514588, 753720), (0, 137728), (0, 137728)],
    "pp3": [(145024, 290048), (234752, 469504), (134812, 269624)],
    "dp4": [(514588, 1029176), (0, 0), (0, 0), (0, 0)],
    "dp4_zero": [(514588, 257720), (0, 257152), (0, 257152), (0, 257152)],
    "tp4": [(167068, 334136)] + [(115840, 231680)] * 3,
    "tp4_vocabulary": [(153288, 306576), (120520, 241040), (120520, 241040), (120260, 240520)],
    "pp4": [(145024, 290048), (117376, 234752), (117376, 234752), (134812, 269624)],
    "dp2_tp2": [(282908, 565816), (231680, 463360), (0, 0), (0, 0)],
    "dp2_tp2_zero_vocabulary": [
        (273808, 273808),
        (240780, 240920),
        (0, 273808),
        (0, 240640),
    ],
    "dp2_pp2": [(262400, 524800), (0, 0), (252188, 504376), (0, 0)],
    "dp2_pp2_zero": [(262400, 262400), (0, 262400), (252188, 252472), (0, 251904)],
    "tp2_pp2": [(146560, 293120), (115840, 231680), (136348, 272696), (115840, 231680)],
    "tp2_pp2_vocabulary": [
        (137600, 275200),
        (124800, 249600),
        (136208, 272416),
        (115980, 231960),
    ],
}
QUICK = ("one", *STARTS[2].train)
NAMES = [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in LIVE]


def stored_bytes(path):
    """Bytes of the tensors in a shard, by what its header says; 0 where there is no shard."""
    if not path.exists():
        return 0
    with safe_open(path, framework="numpy") as file:
        return sum(file.get_tensor(name).nbytes for name in file.keys())  # noqa: SIM118


@pytest.mark.parametrize("name", NAMES)
def test_live_parameters(proof, name):
    found = [note["bytes"] for note in proof.notes(name)]
    assert [(n["weights"], n["moments"], n["parts"]) for n in found] == LIVE[name]


@pytest.mark.parametrize("name", NAMES)
def test_shards(proof, name):
    folder = proof.checkpoint(name).path
    assert [
        tuple(
            stored_bytes(folder / f"{group}.rank_{rank:05d}.safetensors")
            for group in ("model", "optimizer")
        )
        for rank in range(len(STORED[name]))
    ] == STORED[name]


def test_the_shards_of_every_layout_add_up_to_one_model():
    assert STORED.keys() == LIVE.keys()
    for rows in STORED.values():
        assert [sum(column) for column in zip(*rows, strict=True)] == [514588, 1029176]


def test_every_layout_is_counted():
    same = {"one_in_four", "one_recompute", "pp2_recompute", "dp2_unclipped", "dp2_zero_unclipped"}
    assert LIVE.keys() == {name for start in STARTS for name in start.train} - same
