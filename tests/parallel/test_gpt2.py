"""What the other files prove for BERT in every layout, for GPT-2 in those that differ most.

Real processes, float32, dropout 0.1. 301 tokens are divided by no number of ranks here.
"""

from pathlib import Path

import numpy as np
import pytest

from mindmlm.checkpoint import save_checkpoint
from mindmlm.checkpoint.reader import read_checkpoint
from mindmlm.data.vocabulary import save_tokenizer
from mindmlm.tokenizers.byte_level_bpe import train_byte_level_bpe
from mindmlm.tokenizers.gpt2 import GPT2Tokenizer

from .closeness import far, is_key_bias
from .conftest import Proof, Start

TWO = ["dp2_zero", "tp2_vocabulary", "pp2"]
FOUR = ["tp4", "pp4", "dp2_tp2_zero_vocabulary", "dp2_pp2_zero", "tp2_pp2_vocabulary"]
STARTS = [
    Start(1, ["one", "one_in_four", "one_recompute"]),
    Start(2, TWO, [("one", name) for name in TWO] + [("tp2_vocabulary", "pp2")]),
    Start(
        4,
        FOUR,
        [
            *(("one", name) for name in FOUR),
            ("pp2", "dp2_tp2_zero_vocabulary"),
            ("dp2_zero", "tp2_pp2_vocabulary"),
            ("tp2_pp2_vocabulary", "dp2_pp2_zero"),
        ],
    ),
]
MOVES = [move for start in STARTS for move in start.move]
EVERY = ["one_in_four", *TWO, *FOUR]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def proof(project_root, tmp_path_factory, text_and_vocabulary) -> Proof:
    folder = tmp_path_factory.mktemp("gpt2")
    text = text_and_vocabulary["dataset_dir"]
    bpe = train_byte_level_bpe(Path(text).read_text(encoding="utf-8").splitlines(), 300)
    save_tokenizer(GPT2Tokenizer.of_bpe(bpe), folder)
    return Proof(
        folder,
        project_root / "configs" / "gpt2" / "run_gpt2_tiny.yaml",
        {"dataset_dir": text, "vocab_file": str(folder / "vocab.json")},
        STARTS,
        (
            "model.model_config.vocab_size=301",
            "model.model_config.embedding_dropout_prob=0.1",
            "train_dataset.attend_across_documents=False",
        ),
    )


@pytest.mark.parametrize("name", EVERY)
def test_forward(proof, name):
    for when in ("evaluation", "trained_evaluation"):
        expected = proof.notes("one")[0][when]["values"]
        for note in proof.notes(name):
            found = note[when]["values"]
            assert found.keys() == expected.keys()
            assert found["accuracy"] == expected["accuracy"]
            for measure in ("perplexity", "word_perplexity", "byte_perplexity"):
                # Losses for a token, a word and a byte.
                losses = np.log([found[measure], expected[measure]])
                np.testing.assert_allclose(*losses, rtol=2e-6, err_msg=measure)


@pytest.mark.parametrize("name", EVERY)
def test_first_gradients(proof, name):
    expected = proof.checkpoint("one").tensors("gradients")
    mine = proof.checkpoint(name).tensors("gradients")
    assert far(mine, expected)[0] < 1e-5
    for key in filter(is_key_bias, expected):
        scale = np.abs(expected[key.replace("key.bias", "query.bias")]).max()
        assert np.abs(mine[key]).max() < 1e-5 * scale


@pytest.mark.parametrize("name", EVERY)
def test_20_steps(proof, name):
    (expected,) = proof.notes("one")
    assert expected["losses"][-1] < 0.97 * expected["losses"][0]
    for note in proof.notes(name):
        assert len(note["losses"]) == 20
        np.testing.assert_allclose(note["losses"], expected["losses"], rtol=1e-5)
        np.testing.assert_allclose(note["norms"], expected["norms"], rtol=2e-5)
    mine, weights = (proof.checkpoint(which).tensors("model") for which in (name, "one"))
    assert far(mine, weights)[0] < 1e-4
    for key, value in weights.items():
        np.testing.assert_allclose(mine[key], value, atol=1e-4, err_msg=key)


def test_recomputing_changes_no_bit(proof):
    assert proof.notes("one_recompute")[0]["losses"] == proof.notes("one")[0]["losses"]


def assert_equal(mine, expected):
    for group in ("model", "optimizer"):
        ours, theirs = mine.tensors(group), expected.tensors(group)
        assert ours.keys() == theirs.keys()
        assert all(ours[name].tobytes() == theirs[name].tobytes() for name in theirs)
    assert mine.state == expected.state


@pytest.mark.parametrize(("origin", "target"), MOVES)
def test_a_checkpoint_moves_to_another_layout(proof, origin, target):
    assert_equal(proof.checkpoint(f"{origin} > {target}"), proof.checkpoint(origin))


@pytest.mark.parametrize("name", [*TWO, *FOUR])
def test_a_checkpoint_moves_to_one_process(proof, name, graph_mode, tmp_path):
    from mindmlm import build
    from mindmlm.testing.small_run import SmallRun

    origin = proof.checkpoint(name)
    run = SmallRun.create(proof.load("one"), proof.folder / "cache")
    build.load_model(run.model, origin)
    build.load_state(run.updater, origin)
    tensors, _ = build.tensors_to_save(run.updater)
    saved = save_checkpoint(tmp_path, origin.step, tensors, dict(origin.state), {}, 1)
    assert_equal(read_checkpoint(saved), origin)


def test_bytes_of_every_rank(proof):
    """Counted by hand, 4 bytes a value of the weights.

    Word 301 x 64 = 19,264, position 33 x 64 = 2,112; a layer 29,344, of which each of 2 slices
    has 14,864 and each of 4 has 7,624; the last norm 128: 138,880 values in all.
    """
    counted = {
        "one": [138_880],
        "dp2_zero": [138_880] * 2,
        # 151 and 150 rows of the words.
        "tp2_vocabulary": [151 * 64 + 61_696, 150 * 64 + 61_696],
        "tp4": [21_376 + 4 * 7_624 + 128] * 4,
    }
    for name, values in counted.items():
        found = [note["bytes"]["weights"] for note in proof.notes(name)]
        assert found == [4 * value for value in values], name
