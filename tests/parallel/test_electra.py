"""ELECTRA in the layouts that it may have: forward, gradients and 20 steps equal one process.

Real processes, float32, dropout 0.1; the random numbers of the samples are those of one process.
"""

import numpy as np
import pytest

from .closeness import far
from .conftest import Proof, Start

STARTS = [
    Start(1, ["one", "one_in_four"]),
    Start(2, ["dp2", "dp2_zero"], [("one", "dp2_zero"), ("dp2_zero", "dp2")]),
]
EVERY = ["one_in_four", "dp2", "dp2_zero"]
# Weights of two layouts differ in their last bits, more with every step, until a random number
# falls between their probabilities and they draw different tokens: one of about 1,900 in these
# 20 steps. So long steps are the same to rounding; afterwards they are alike.
SAME_TOKENS = 10
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def proof(project_root, tmp_path_factory, text_and_vocabulary) -> Proof:
    more = (
        "model.model_config.num_hidden_layers=1",
        "model.model_config.embedding_size=24",
        "model.model_config.vocab_size=301",
        "model.model_config.initializer_range=0.1",
    )
    config = project_root / "configs" / "electra" / "run_electra_tiny.yaml"
    folder = tmp_path_factory.mktemp("electra")
    return Proof(folder, config, text_and_vocabulary, STARTS, more)


@pytest.mark.parametrize("name", EVERY)
def test_evaluation_is_that_of_one_process(proof, name):
    for when in ("evaluation", "trained_evaluation"):
        expected = proof.notes("one")[0][when]
        assert expected["counted"] == "tokens" and expected["values"]["replaced_share"] > 0.1
        for note in proof.notes(name):
            assert note[when]["positions"] == expected["positions"]
            rel, abs_ = (1e-4, 1e-12) if when == "evaluation" else (5e-3, 1e-2)
            assert note[when]["values"] == pytest.approx(expected["values"], rel=rel, abs=abs_)


@pytest.mark.parametrize("name", EVERY)
def test_first_gradients_and_20_steps(proof, name):
    (expected,) = proof.notes("one")
    assert expected["losses"][-1] < 0.9 * expected["losses"][0]
    gradients = [proof.checkpoint(which).tensors("gradients") for which in (name, "one")]
    assert far(*gradients)[0] < 1e-5
    for note in proof.notes(name):
        assert len(note["losses"]) == 20 and note["tokens"] == expected["tokens"]
        strict = slice(0, SAME_TOKENS)
        np.testing.assert_allclose(note["losses"][strict], expected["losses"][strict], rtol=1e-5)
        np.testing.assert_allclose(note["norms"][strict], expected["norms"][strict], rtol=5e-5)
        np.testing.assert_allclose(note["losses"], expected["losses"], rtol=5e-3)


@pytest.mark.parametrize(("origin", "target"), STARTS[1].move)
def test_a_checkpoint_moves_to_another_layout(proof, origin, target):
    mine, expected = proof.checkpoint(f"{origin} > {target}"), proof.checkpoint(origin)
    for group in ("model", "optimizer"):
        ours, theirs = mine.tensors(group), expected.tensors(group)
        assert ours.keys() == theirs.keys()
        assert all(ours[name].tobytes() == theirs[name].tobytes() for name in theirs)
