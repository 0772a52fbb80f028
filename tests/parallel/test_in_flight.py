"""How many micro-batches a stage holds in a real run: as many as there are stages from it on."""

import pytest

# Layout: the most of each rank, min(stages - stage, micro-batches).
MOST = {
    "one": [1],
    "pp2": [2, 1],
    "one_in_four": [1],
    "pp2_recompute": [2, 1],
    "pp3": [3, 2, 1],
    "pp4": [4, 3, 2, 1],
    "dp2_pp2_zero": [2, 2, 1, 1],
    "tp2_pp2": [2, 2, 1, 1],
}
QUICK = ("one", "pp2")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in MOST]
)
def test_in_flight(proof, name):
    assert [note["most_in_flight"] for note in proof.notes(name)] == MOST[name]
