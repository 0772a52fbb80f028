"""Sentence pairs and LAMB in the layouts that differ most train and answer as one process.

Real processes, float32, dropout 0.1. Both terms of the loss have counts that differ between ranks,
the word embedding (71 rows) is divided by no number of ranks here, and LAMB's norms are sums over
the parts of a weight.
"""

import numpy as np
import pytest

from mindmlm.data.sources.files import FileSource
from mindmlm.data.vocabulary import train_vocab_file
from mindmlm.testing.corpus import write_documents

from .closeness import far
from .conftest import Proof, Start

TWO = ["dp2_zero", "tp2_vocabulary", "pp2"]
STARTS = [
    Start(1, ["one", "one_in_four"]),
    Start(2, TWO, [("one", name) for name in TWO] + [("tp2_vocabulary", "pp2")]),
]
EVERY = ["one_in_four", *TWO]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def proof(project_root, tmp_path_factory) -> Proof:
    folder = tmp_path_factory.mktemp("pairs")
    text = write_documents(folder / "text.txt")
    train_vocab_file(folder / "vocab.txt", FileSource.of_paths(text), 71, True)
    flags = {"dataset_dir": str(text), "vocab_file": str(folder / "vocab.txt")}
    path = project_root / "configs" / "bert" / "run_nsp_tiny_zh.yaml"
    more = (
        "optimizer.type=lamb",
        "lr_schedule.learning_rate=0.01",
        "model.model_config.initializer_range=0.1",
        "eval_dataset.holdout_fraction=0.3",
        "eval_dataset.batch_size=4",
    )
    return Proof(folder, path, flags, STARTS, more)


@pytest.mark.parametrize("name", EVERY)
def test_evaluation_is_the_same(proof, name):
    for when in ("evaluation", "trained_evaluation"):
        expected = proof.notes("one")[0][when]
        for note in proof.notes(name):
            assert note[when]["positions"] == expected["positions"]
            assert note[when]["values"] == pytest.approx(expected["values"], rel=2e-5)
    values = expected["values"]
    assert values["loss"] == pytest.approx(values["masked_lm_loss"] + values["sentence_pair_loss"])
    assert 0.0 < values["sentence_pair_accuracy"] <= 1.0


@pytest.mark.parametrize("name", EVERY)
def test_first_gradients_and_20_steps(proof, name):
    (expected,) = proof.notes("one")
    assert expected["losses"][-1] < 0.95 * expected["losses"][0]
    gradients = [proof.checkpoint(which).tensors("gradients") for which in (name, "one")]
    assert {"gradient.bert.pooler.weight", "gradient.seq_relationship.weight"} <= set(gradients[0])
    # As many pairs belong together as do not, so this one cancels to nearly nothing.
    biases = [found.pop("gradient.seq_relationship.bias") for found in gradients]
    np.testing.assert_allclose(*biases, atol=1e-6)
    assert far(*gradients)[0] < 1e-5
    for note in proof.notes(name):
        assert len(note["losses"]) == 20
        np.testing.assert_allclose(note["losses"], expected["losses"], rtol=1e-5)
        np.testing.assert_allclose(note["norms"], expected["norms"], rtol=5e-5)


@pytest.mark.parametrize(("origin", "target"), STARTS[1].move)
def test_a_checkpoint_moves_to_another_layout(proof, origin, target):
    mine, expected = proof.checkpoint(f"{origin} > {target}"), proof.checkpoint(origin)
    for group in ("model", "optimizer"):
        ours, theirs = mine.tensors(group), expected.tensors(group)
        assert ours.keys() == theirs.keys()
        assert all(ours[name].tobytes() == theirs[name].tobytes() for name in theirs)
