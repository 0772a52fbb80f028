"""Checkpoints of ours in the files of any layout, and back in one."""

import itertools

import numpy as np
import pytest

from mindmlm.checkpoint import find_in_folder, save_checkpoint
from mindmlm.cli.convert_checkpoint import main
from mindmlm.conversion.convert import Conversion, convert
from mindmlm.testing.tiny_bert import huggingface_bert, save_huggingface

LAYOUTS = [
    (dp, tp, pp, zero)
    for dp, tp, pp in itertools.product((1, 2, 3, 4, 8), repeat=3)
    if dp * tp * pp <= 8 and tp in (1, 2, 4, 8)
    for zero in ((False, True) if dp > 1 else (False,))
]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run with eight layers (uneven in three stages), 61 tokens, and an optimizer."""
    root = tmp_path_factory.mktemp("reshard")
    model = huggingface_bert(
        num_hidden_layers=8, hidden_size=16, num_attention_heads=8, intermediate_size=24
    )
    convert(Conversion(save_huggingface(model, root / "hf"), root / "start", "mindmlm"))
    start = find_in_folder(root / "start").checkpoint
    weights = start.tensors("model")
    rng = np.random.default_rng(0)
    moments = {
        f"{kind}.{name}": rng.random(array.shape, np.float32)
        for name, array in weights.items()
        for kind in ("first_moment", "second_moment")
    }
    tensors = {"model": weights, "optimizer": moments}
    state = {**start.state, "step": 7}
    save_checkpoint(root / "run" / "checkpoint", 7, tensors, state, start.config, 1)
    (root / "run" / "vocab.txt").write_bytes((root / "start" / "vocab.txt").read_bytes())
    return root / "run"


def bytes_of(folder) -> dict[str, bytes]:
    checkpoint = find_in_folder(folder).checkpoint
    return {
        f"{group}/{name}": array.tobytes()
        for group in ("model", "optimizer")
        for name, array in checkpoint.tensors(group).items()
    }


def check(run, tmp_path, layouts, vocab_emb_dp) -> None:
    expected = bytes_of(run)
    for number, (dp, tp, pp, zero) in enumerate(layouts):
        there, back = tmp_path / f"there{number}", tmp_path / f"back{number}"
        words = ["--input", run, "--output", there, "--to", "mindmlm"]
        words += ["--data_parallel", dp, "--model_parallel", tp, "--pipeline_stage", pp]
        words += ["--optimizer_shard", zero, "--vocab_emb_dp", vocab_emb_dp]
        assert main([str(word) for word in words]) == 0
        found = find_in_folder(there).checkpoint
        assert found.layout == {"data_parallel": dp, "model_parallel": tp, "pipeline_stage": pp}
        files = [name for name in found.manifest.files if name.startswith("model")]
        assert len(files) == tp * pp
        state = [name for name in found.manifest.files if name.startswith("optimizer")]
        assert len(state) == tp * pp * (dp if zero else 1)
        assert bytes_of(there) == expected
        convert(Conversion(there, back, "mindmlm"))
        assert len(find_in_folder(back).checkpoint.manifest.files) == 2
        assert bytes_of(back) == expected
        assert find_in_folder(back).checkpoint.state == find_in_folder(run).checkpoint.state


def test_some_layouts_are_bitwise(run, tmp_path) -> None:
    check(run, tmp_path, [(2, 2, 2, True), (1, 2, 3, False)], vocab_emb_dp=False)


@pytest.mark.slow
@pytest.mark.parametrize("vocab_emb_dp", [True, False])
def test_every_layout_up_to_eight_is_bitwise(vocab_emb_dp, run, tmp_path) -> None:
    assert len(LAYOUTS) > 30
    check(run, tmp_path, LAYOUTS, vocab_emb_dp)
