"""Question answering in the layouts that differ most trains and answers as in one process.

Real processes, float32, dropout 0.1. 71 rows of the word embedding are divided by no number of
ranks here, and a question has several windows.
"""

import numpy as np
import pytest

from mindmlm.testing.questions import write_questions, write_squad, write_vocabulary

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
    folder = tmp_path_factory.mktemp("questions")
    squad = write_squad(folder / "squad", paragraphs=30)
    write_questions(squad / "dev-v1.1.json", 13, seed=2)
    flags = {
        "dataset_dir": str(squad),
        "vocab_file": str(write_vocabulary(folder / "vocab.txt")),
        "output_dir": str(folder / "out"),
    }
    rows = (
        "train_dataset.max_question_length=7",
        "train_dataset.doc_stride=5",
        "model.model_config.initializer_range=0.1",
        "eval_dataset.batch_size=4",
    )
    path = project_root / "configs" / "qa" / "run_qa_bert_tiny.yaml"
    return Proof(folder, path, flags, STARTS, rows)


@pytest.mark.parametrize("name", EVERY)
def test_every_question_is_answered_once_and_alike(proof, name):
    for when in ("evaluation", "trained_evaluation"):
        expected = proof.notes("one")[0][when]
        assert expected["positions"] == 26 and expected["counted"] == "questions"
        for note in proof.notes(name):
            found = note[when]
            assert found["positions"] == 26
            for measure in ("exact_match", "f1"):
                assert found["values"][measure] == pytest.approx(expected["values"][measure])
            assert found["values"]["loss"] == pytest.approx(expected["values"]["loss"], rel=2e-6)
    before, after = (proof.notes("one")[0][when] for when in ("evaluation", "trained_evaluation"))
    assert after["values"]["f1"] > before["values"]["f1"]


@pytest.mark.parametrize("name", EVERY)
def test_first_gradients_and_20_steps(proof, name):
    (expected,) = proof.notes("one")
    assert expected["losses"][-1] < 0.9 * expected["losses"][0]
    gradients = [proof.checkpoint(which).tensors("gradients") for which in (name, "one")]
    # What adds the same number to all scores changes no softmax: these gradients are rounding.
    for key in ("qa.bias", "bert.layers.3.output_norm.bias"):
        sizes = [np.abs(found.pop(f"gradient.{key}")).max() for found in gradients]
        assert max(sizes) < 1e-6 * np.abs(gradients[1]["gradient.qa.weight"]).max()
    assert far(*gradients)[0] < 1e-5
    for note in proof.notes(name):
        assert len(note["losses"]) == 20
        np.testing.assert_allclose(note["losses"], expected["losses"], rtol=1e-5)
        np.testing.assert_allclose(note["norms"], expected["norms"], rtol=2e-5)


@pytest.mark.parametrize(("origin", "target"), STARTS[1].move)
def test_a_checkpoint_moves_to_another_layout(proof, origin, target):
    mine, expected = proof.checkpoint(f"{origin} > {target}"), proof.checkpoint(origin)
    for group in ("model", "optimizer"):
        ours, theirs = mine.tensors(group), expected.tensors(group)
        assert ours.keys() == theirs.keys()
        assert all(ours[name].tobytes() == theirs[name].tobytes() for name in theirs)
