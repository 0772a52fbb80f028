"""RoBERTa in the layouts that differ most trains as in one process: rows of whole sentences.

Real processes, float32, dropout 0.1. 301 rows of the word embedding are divided by no number of
ranks here.
"""

from pathlib import Path

import numpy as np
import pytest

from mindmlm.data.vocabulary import save_tokenizer
from mindmlm.testing.tiny_roberta import trained_tokenizer

from .closeness import far, is_key_bias
from .conftest import Proof, Start

TWO = ["dp2_zero", "tp2_vocabulary", "pp2"]
FOUR = ["tp2_pp2_vocabulary"]
STARTS = [
    Start(1, ["one"]),
    Start(2, TWO, [("one", name) for name in TWO] + [("tp2_vocabulary", "pp2")]),
    Start(4, FOUR, [("dp2_zero", FOUR[0])]),
]
EVERY = [*TWO, *FOUR]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def proof(project_root, tmp_path_factory, text_and_vocabulary) -> Proof:
    folder = tmp_path_factory.mktemp("roberta")
    text = text_and_vocabulary["dataset_dir"]
    lines = Path(text).read_text(encoding="utf-8").splitlines()
    save_tokenizer(trained_tokenizer(lines, 300), folder)
    return Proof(
        folder,
        project_root / "configs" / "roberta" / "run_roberta_tiny.yaml",
        {"dataset_dir": text, "vocab_file": str(folder / "vocab.json")},
        STARTS,
        (
            "model.model_config.vocab_size=301",
            "model.model_config.max_position_embeddings=34",
            "train_dataset.data_loader.text_format=line",
        ),
    )


@pytest.mark.parametrize("name", EVERY)
def test_forward(proof, name):
    for when in ("evaluation", "trained_evaluation"):
        expected = proof.notes("one")[0][when]["values"]
        for note in proof.notes(name):
            found = note[when]["values"]
            assert found["masked_accuracy"] == expected["masked_accuracy"]
            losses = np.log([found["perplexity"], expected["perplexity"]])
            np.testing.assert_allclose(*losses, rtol=2e-6)


@pytest.mark.parametrize("name", EVERY)
def test_first_gradients(proof, name):
    expected = proof.checkpoint("one").tensors("gradients")
    mine = proof.checkpoint(name).tensors("gradients")
    assert far(mine, expected)[0] < 1e-5
    for key in filter(is_key_bias, expected):
        scale = np.abs(expected[key.replace("key.bias", "query.bias")]).max()
        assert np.abs(mine[key]).max() < 1e-5 * scale
    # The first two positions are not used.
    position = mine["gradient.bert.embeddings.position"]
    assert not position[:2].any() and position[2:].any(axis=1).all()


@pytest.mark.parametrize("name", EVERY)
def test_20_steps(proof, name):
    (expected,) = proof.notes("one")
    assert expected["losses"][-1] < expected["losses"][0]
    for note in proof.notes(name):
        assert len(note["losses"]) == 20
        np.testing.assert_allclose(note["losses"], expected["losses"], rtol=1e-5)
        np.testing.assert_allclose(note["norms"], expected["norms"], rtol=2e-5)


@pytest.mark.parametrize(("origin", "target"), [move for start in STARTS for move in start.move])
def test_a_checkpoint_moves_to_another_layout(proof, origin, target):
    mine, expected = proof.checkpoint(f"{origin} > {target}"), proof.checkpoint(origin)
    for group in ("model", "optimizer"):
        ours, theirs = mine.tensors(group), expected.tensors(group)
        assert ours.keys() == theirs.keys()
        assert all(ours[name].tobytes() == theirs[name].tobytes() for name in theirs)
