"""Every layout computes what one process computes: forward, gradients, 20 steps, weights.

Dropout is 0.1, everything is float32, and each layout runs in processes of its own.
"""

import numpy as np
import pytest

from .closeness import far, is_key_bias

ALONE = ["one_in_four", "one_recompute"]
QUICK = ["dp2_zero", "tp2_vocabulary", "pp2"]
MORE_OF_TWO = ["dp2", "tp2", "pp2_recompute"]
THREE = ["dp3", "dp3_zero", "pp3"]
FOUR = [
    *("dp4", "dp4_zero", "tp4", "tp4_vocabulary", "pp4", "dp2_tp2", "dp2_tp2_zero_vocabulary"),
    *("dp2_pp2", "dp2_pp2_zero", "tp2_pp2", "tp2_pp2_vocabulary"),
]


def marked(*names):
    return [pytest.param(name, marks=pytest.mark.slow) for name in names]


EVERY = [*QUICK, *marked(*ALONE, *MORE_OF_TWO, *THREE, *FOUR)]


def assert_bitwise(mine, expected):
    assert mine.keys() == expected.keys()
    different = [name for name in expected if mine[name].tobytes() != expected[name].tobytes()]
    assert not different


@pytest.mark.parametrize("name", EVERY)
def test_forward(proof, name):
    for when in ("evaluation", "trained_evaluation"):
        expected = proof.notes("one")[0][when]
        for note in proof.notes(name):
            assert note[when]["positions"] == expected["positions"] > 30
            found, wanted = note[when]["values"], expected["values"]
            np.testing.assert_allclose(found["loss"], wanted["loss"], rtol=1e-6)
            assert found["masked_accuracy"] == wanted["masked_accuracy"]


@pytest.mark.parametrize("name", EVERY)
def test_first_gradients(proof, name):
    expected = proof.checkpoint("one").tensors("gradients")
    mine = proof.checkpoint(name).tensors("gradients")
    assert far(mine, expected)[0] < 1e-5
    for key in filter(is_key_bias, expected):
        scale = np.abs(expected[key.replace("key.bias", "query.bias")]).max()
        assert np.abs(mine[key]).max() < 1e-5 * scale


@pytest.mark.parametrize("name", EVERY)
def test_losses_of_20_steps(proof, name):
    (expected,) = proof.notes("one")
    # The model learns, and clipping has its part in it, so that there is something to compare.
    assert expected["losses"][-1] < 0.95 * expected["losses"][0]
    assert max(expected["norms"]) > 1.0
    notes = proof.notes(name)
    assert len(notes[0]["losses"]) == 20
    for note in notes:
        np.testing.assert_allclose(note["losses"], expected["losses"], rtol=1e-5)
        np.testing.assert_allclose(note["norms"], expected["norms"], rtol=1e-5)
        assert note["tokens"] == expected["tokens"]
        # Every rank is told the same numbers, to the last bit.
        assert (note["losses"], note["norms"]) == (notes[0]["losses"], notes[0]["norms"])


@pytest.mark.parametrize("name", EVERY)
def test_weights_after_20_steps(proof, name):
    expected = proof.checkpoint("one").tensors("model")
    mine = proof.checkpoint(name).tensors("model")
    assert far(mine, expected)[0] < 1e-4
    for key, value in expected.items():
        np.testing.assert_allclose(mine[key], value, atol=1e-4, err_msg=key)


@pytest.mark.slow
def test_zero_does_what_data_parallel_does_bit_for_bit(proof):
    """Without clipping, whose norm ZeRO-1 adds up in another order; see docs/parallel.md."""
    mine, expected = proof.notes("dp2_zero_unclipped")[0], proof.notes("dp2_unclipped")[0]
    assert mine["losses"] == expected["losses"]
    for group in ("gradients", "model", "optimizer"):
        assert_bitwise(
            proof.checkpoint("dp2_zero_unclipped").tensors(group),
            proof.checkpoint("dp2_unclipped").tensors(group),
        )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pp2", "pp2_recompute", "pp3", "pp4"])
def test_a_pipeline_adds_up_as_accumulation_does(proof, name):
    """Bit for bit but for the tied embedding, whose two gradients are added up at the end."""
    expected = proof.checkpoint("one_in_four").tensors("gradients")
    mine = proof.checkpoint(name).tensors("gradients")
    tied = "gradient.bert.embeddings.word"
    assert far({tied: mine.pop(tied)}, {tied: expected.pop(tied)})[0] < 1e-6
    assert_bitwise(mine, expected)


@pytest.mark.slow
def test_recomputing_changes_no_bit(proof):
    assert proof.notes("one_recompute")[0]["losses"] == proof.notes("one")[0]["losses"]
    for group in ("gradients", "model", "optimizer"):
        assert_bitwise(
            proof.checkpoint("one_recompute").tensors(group),
            proof.checkpoint("one").tensors(group),
        )
