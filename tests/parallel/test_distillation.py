"""A student that is divided over processes learns from its teacher as in one process.

Real processes, float32, dropout 0.1 of the student. The teacher is whole on every rank that has the
loss. The word embedding stays whole: a configuration that cuts it is refused.
"""

import numpy as np
import pytest

from mindmlm.config import load_config
from mindmlm.errors import ConfigError
from mindmlm.testing.teachers import write_teacher, write_words

from .closeness import far
from .conftest import Proof, Start

TWO = ["dp2_zero", "tp2", "pp2"]
STARTS = [Start(1, ["one"]), Start(2, TWO, [("one", "tp2"), ("tp2", "dp2_zero")])]

# As `mindmlm.testing.layouts` makes the student, with one layer more than it has here.
SHAPE = {
    "num_hidden_layers": 3,
    "hidden_size": 64,
    "num_attention_heads": 4,
    "intermediate_size": 96,
    "vocab_size": 71,
    "max_position_embeddings": 33,
}


@pytest.fixture(scope="module")
def proof(project_root, tmp_path_factory) -> Proof:
    folder = tmp_path_factory.mktemp("distillation")
    teacher = write_teacher(folder / "teacher", **SHAPE)
    flags = {
        "dataset_dir": str(write_words(folder / "text.txt", lines=150)),
        "vocab_file": str(teacher / "vocab.txt"),
        "output_dir": str(folder / "out"),
    }
    more = (
        f"distillation.teacher={teacher}",
        "distillation.teacher_layers=[0, 2]",
        "model.model_config.num_hidden_layers=2",
        "processor.segmenter=none",
    )
    path = project_root / "configs" / "distill" / "run_distill_tiny_zh.yaml"
    return Proof(folder, path, flags, STARTS, more)


@pytest.mark.slow
@pytest.mark.parametrize("name", TWO)
def test_evaluation_gradients_and_20_steps(proof, name):
    (expected,) = proof.notes("one")
    assert expected["losses"][-1] < 0.9 * expected["losses"][0]
    gradients = [proof.checkpoint(which).tensors("gradients") for which in (name, "one")]
    assert far(*gradients)[0] < 2e-5
    for note in proof.notes(name):
        for when in ("evaluation", "trained_evaluation"):
            loss = expected[when]["values"]["loss"]
            assert note[when]["values"]["loss"] == pytest.approx(loss, rel=2e-5)
        assert len(note["losses"]) == 20
        np.testing.assert_allclose(note["losses"], expected["losses"], rtol=2e-5)
        np.testing.assert_allclose(note["norms"], expected["norms"], rtol=5e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("origin", "target"), STARTS[1].move)
def test_a_checkpoint_moves_to_another_layout(proof, origin, target):
    mine, expected = proof.checkpoint(f"{origin} > {target}"), proof.checkpoint(origin)
    for group in ("model", "optimizer"):
        ours, theirs = mine.tensors(group), expected.tensors(group)
        assert ours.keys() == theirs.keys()
        assert all(ours[name].tobytes() == theirs[name].tobytes() for name in theirs)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (
            ("parallel_config.model_parallel=2", "parallel_config.vocab_emb_dp=False"),
            "parallel_config.vocab_emb_dp",
        ),
        (("parallel.parallel_mode=1", "parallel_config.data_parallel=2"), "no place for a teacher"),
    ],
)
def test_a_layout_without_a_place_for_the_teacher_is_refused(project_root, options, named):
    path = project_root / "configs" / "distill" / "run_distill_tiny_zh.yaml"
    with pytest.raises(ConfigError, match=named):
        load_config(path, ["use_parallel=True", *options], require_inputs=False)
