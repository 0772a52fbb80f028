"""Hugging Face folders, in and out, against transformers itself."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from safetensors.numpy import load_file, save_file
from safetensors.torch import save_file as save_torch

from mindmlm.checkpoint import find_in_folder
from mindmlm.conversion.convert import Conversion, convert
from mindmlm.conversion.matching import Allowances
from mindmlm.conversion.tokenizer_files import GivenTokenizer
from mindmlm.errors import CheckpointError
from mindmlm.testing.tiny_bert import (
    TOKENS,
    VOCAB,
    huggingface_bert,
    huggingface_logits,
    our_logits,
    random_batch,
    save_huggingface,
)

TOLERANCE = 1e-5


def state_of(model) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def write_bin(folder: Path, state, **options) -> Path:
    """A folder with only a `pytorch_model.bin`."""
    (folder / "model.safetensors").unlink()
    torch.save(state, folder / "pytorch_model.bin", **options)
    return folder


def sharded(model, folder: Path) -> Path:
    save_huggingface(model, folder, max_shard_size="8KB")
    assert (folder / "model.safetensors.index.json").is_file()
    assert not (folder / "model.safetensors").exists()
    return folder


def sharded_bin(model, folder: Path) -> Path:
    save_huggingface(model, folder)
    (folder / "model.safetensors").unlink()
    state = list(state_of(model).items())
    weight_map = {}
    for number, part in enumerate((state[::2], state[1::2]), start=1):
        name = f"pytorch_model-{number:05d}-of-00002.bin"
        torch.save(dict(part), folder / name)
        weight_map |= dict.fromkeys(dict(part), name)
    index = {"metadata": {"total_size": 1}, "weight_map": weight_map}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    return folder


def old_names(model, folder: Path) -> Path:
    """As pytorch-pretrained-bert (2018) wrote them: gamma and beta, no prefix of today."""
    state = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): value
        for name, value in state_of(model).items()
    }
    return write_bin(save_huggingface(model, folder), state, _use_new_zipfile_serialization=False)


FORMS = {
    "safetensors": save_huggingface,
    "sharded": sharded,
    "bin": lambda model, folder: write_bin(save_huggingface(model, folder), state_of(model)),
    "legacy bin": lambda model, folder: write_bin(
        save_huggingface(model, folder), state_of(model), _use_new_zipfile_serialization=False
    ),
    "sharded bin": sharded_bin,
    "gamma and beta": old_names,
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_logits_of_transformers(
    form, masked_lm, tmp_path, imported, graph_mode
) -> None:
    weights, settings, _ = imported(FORMS[form](masked_lm, tmp_path / "input"))
    batch = random_batch()
    difference = our_logits(weights, settings, batch) - huggingface_logits(masked_lm, batch)
    assert np.abs(difference).max() < TOLERANCE


@pytest.mark.parametrize("activation", ["gelu", "gelu_new", "relu"])
def test_settings_change_what_is_computed(activation, tmp_path, imported, graph_mode) -> None:
    model = huggingface_bert(seed=3, hidden_act=activation, layer_norm_eps=1e-3)
    weights, settings, _ = imported(save_huggingface(model, tmp_path / "input"))
    batch = random_batch(seed=5)
    difference = our_logits(weights, settings, batch) - huggingface_logits(model, batch)
    assert np.abs(difference).max() < TOLERANCE


def test_what_we_write_loads_unchanged_and_computes_the_same(
    huggingface_folder, masked_lm, tmp_path
) -> None:
    convert(Conversion(huggingface_folder, tmp_path / "run", "mindmlm"))
    convert(Conversion(tmp_path / "run", tmp_path / "out", "huggingface"))
    model, info = transformers.AutoModelForMaskedLM.from_pretrained(
        tmp_path / "out", output_loading_info=True
    )
    assert info["missing_keys"] == info["unexpected_keys"] == info["mismatched_keys"] == []
    batch = random_batch()
    same = huggingface_logits(model.eval(), batch)
    np.testing.assert_array_equal(same, huggingface_logits(masked_lm, batch))
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    assert tokenizer.get_vocab() == {token: place for place, token in enumerate(TOKENS)}
    assert tokenizer("WORD3 [MASK] x")["input_ids"] == [2, 8, 4, 1, 3]
    assert tokenizer.model_max_length == 20
    assert "fill-mask" in (tmp_path / "out" / "README.md").read_text()


@pytest.mark.parametrize("target", ["mindmlm", "mindspore", "pytorch"])
@pytest.mark.parametrize("kind", ["BertForMaskedLM", "BertForPreTraining"])
def test_there_and_back_is_bitwise(kind, target, tmp_path) -> None:
    model = huggingface_bert(kind, seed=11)
    folder = save_huggingface(model, tmp_path / "input")
    convert(Conversion(folder, tmp_path / "middle", target))
    convert(Conversion(tmp_path / "middle", tmp_path / "back", "huggingface"))
    expected = load_file(folder / "model.safetensors")
    found = load_file(tmp_path / "back" / "model.safetensors")
    assert set(found) == set(expected)
    for name in ("bert.pooler.dense.weight", "cls.seq_relationship.bias"):
        assert (name in found) == (kind == "BertForPreTraining")
    described = json.loads((tmp_path / "back" / "config.json").read_text())
    assert described["architectures"] == [kind]
    for name, value in found.items():
        assert value.tobytes() == expected[name].tobytes(), name


def test_the_same_conversion_writes_the_same_bytes(huggingface_folder, tmp_path) -> None:
    for name in ("a", "b"):
        convert(Conversion(huggingface_folder, tmp_path / name / "tiny", "huggingface"))
    sums = [(tmp_path / name / "tiny" / "sha256sums.txt").read_text() for name in ("a", "b")]
    assert sums[0] == sums[1]


def test_pytorch_bin_is_read_by_torch_and_transformers(
    huggingface_folder, masked_lm, tmp_path
) -> None:
    convert(Conversion(huggingface_folder, tmp_path / "out", "pytorch"))
    state = torch.load(tmp_path / "out" / "pytorch_model.bin", weights_only=True)
    expected = masked_lm.state_dict()
    for name, value in state.items():
        assert torch.equal(value, expected[name]), name
    model = transformers.BertForMaskedLM.from_pretrained(tmp_path / "out").eval()
    batch = random_batch()
    np.testing.assert_array_equal(
        huggingface_logits(model, batch), huggingface_logits(masked_lm, batch)
    )


def test_a_file_name_writes_one_file(huggingface_folder, tmp_path) -> None:
    convert(Conversion(huggingface_folder, tmp_path / "new" / "bert.bin", "pytorch"))
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["bert.bin"]


def test_the_next_sentence_head_is_announced(tmp_path, imported, graph_mode) -> None:
    model = huggingface_bert("BertForPreTraining", seed=2)
    folder = save_huggingface(model, tmp_path / "input")
    # As that of bert-base-chinese: the file has the head, its description does not.
    described = json.loads((folder / "config.json").read_text())
    described["architectures"] = ["BertForMaskedLM"]
    (folder / "config.json").write_text(json.dumps(described))
    weights, settings, report = imported(folder)
    left = [line.theirs for line in report.of("left out")]
    assert left == ["cls.seq_relationship.bias", "cls.seq_relationship.weight"]
    assert settings.add_pooling_layer and "bert.pooler.weight" in weights
    batch = random_batch()
    difference = our_logits(weights, settings, batch) - huggingface_logits(model, batch)
    assert np.abs(difference).max() < TOLERANCE


def test_a_bare_encoder_has_no_head_and_says_so(tmp_path, imported) -> None:
    folder = save_huggingface(huggingface_bert("BertModel"), tmp_path / "input")
    with pytest.raises(CheckpointError, match=r"missing: head\.dense\.weight"):
        imported(folder)
    weights, _, report = imported(folder, allowances=Allowances(missing=("head.*",)), seed=7)
    fresh = [line.ours for line in report.of("fresh")]
    assert fresh == [
        "head.dense.weight",
        "head.dense.bias",
        "head.norm.weight",
        "head.norm.bias",
        "head.bias",
    ]
    assert weights["head.dense.weight"].std() == pytest.approx(0.02, rel=0.2)
    assert (weights["head.norm.weight"] == 1).all()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_other_types_keep_their_values(dtype, masked_lm, tmp_path, imported) -> None:
    state = {name: value.to(getattr(torch, dtype)) for name, value in state_of(masked_lm).items()}
    folder = write_bin(save_huggingface(masked_lm, tmp_path / "bin"), state)
    weights, _, report = imported(folder)
    expected = state["bert.embeddings.word_embeddings.weight"].to(torch.float32).numpy()
    np.testing.assert_array_equal(weights["bert.embeddings.word"], expected)
    assert bool(report.of("narrowed")) == (dtype == "float64")
    if dtype == "bfloat16":
        folder = save_huggingface(masked_lm, tmp_path / "safe")
        names = load_file(folder / "model.safetensors")
        save_torch(
            {name: state[name].contiguous() for name in names},
            folder / "model.safetensors",
            metadata={"format": "pt"},
        )
        again, _, _ = imported(folder)
        np.testing.assert_array_equal(again["bert.embeddings.word"], expected)


def test_tensors_that_lie_transposed_in_a_bin_are_read_right(masked_lm, tmp_path, imported) -> None:
    state = state_of(masked_lm)
    name = "bert.encoder.layer.1.intermediate.dense.weight"
    expected = state[name].numpy().copy()
    state[name] = state[name].t().contiguous().t()
    assert not state[name].is_contiguous()
    weights, _, _ = imported(write_bin(save_huggingface(masked_lm, tmp_path / "in"), state))
    np.testing.assert_array_equal(weights["bert.layers.1.intermediate.weight"], expected)


def test_a_decoder_that_is_not_tied_is_refused(masked_lm, tmp_path, imported) -> None:
    state = state_of(masked_lm)
    state["cls.predictions.decoder.weight"] += 1
    folder = write_bin(save_huggingface(masked_lm, tmp_path / "in"), state)
    with pytest.raises(CheckpointError, match="one tensor in this model, and they differ"):
        imported(folder)


def test_every_fault_is_listed(huggingface_folder, tmp_path, imported) -> None:
    state = load_file(huggingface_folder / "model.safetensors")
    del state["bert.encoder.layer.0.output.dense.bias"]
    state["bert.encoder.layer.9.output.dense.bias"] = np.zeros(24, np.float32)
    state["bert.pooler.dense.bias"] = np.zeros(7, np.float32)
    state["bert.embeddings.LayerNorm.weight"] = np.zeros(24, np.int64)
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "config.json").write_text((huggingface_folder / "config.json").read_text())
    (folder / "vocab.txt").write_text("\n".join(TOKENS))
    save_file(state, folder / "model.safetensors")
    with pytest.raises(CheckpointError) as caught:
        imported(folder)
    text = str(caught.value)
    for part in (
        "missing: bert.layers.0.output.bias (expected as bert.encoder.layer.0.output.dense.bias)",
        "missing: bert.pooler.weight",
        "unexpected: bert.encoder.layer.9.output.dense.bias ([24])",
        "wrong shape: bert.pooler.dense.bias -> bert.pooler.bias ([7] in the file, [24] in",
        "wrong shape: bert.embeddings.LayerNorm.weight",
        "int64",
    ):
        assert part in text
    assert not any(tmp_path.glob("imported*"))


def test_nan_is_reported(huggingface_folder, tmp_path, imported) -> None:
    state = load_file(huggingface_folder / "model.safetensors")
    state["bert.encoder.layer.1.attention.self.key.weight"][3, 4] = np.nan
    state["bert.encoder.layer.1.attention.self.key.weight"][3, 5] = np.inf
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("config.json", "vocab.txt"):
        (folder / name).write_text((huggingface_folder / name).read_text())
    save_file(state, folder / "model.safetensors")
    _, _, report = imported(folder)
    lines = [line.text() for line in report.of("not finite")]
    assert lines == ["not finite: bert.layers.1.attention.key.weight (2 NaN or infinite values)"]
    assert lines[0] in report.as_text()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "camembert"}, "model_type is 'camembert'"),
        ({"hidden_act": "swish"}, "hidden_act is 'swish'"),
        ({"position_embedding_type": "relative_key"}, "computes with 'absolute' only"),
        ({"is_decoder": True}, "is_decoder is True"),
        ({"hidden_size": "24"}, "hidden_size"),
        ({"num_hidden_layers": 3}, r"missing: bert\.layers\.2"),
        ({"vocab_size": VOCAB + 1}, "wrong shape"),
        ({"vocab_size": None}, "vocabulary is not known"),
    ],
)
def test_a_config_that_does_not_fit_is_refused(
    change, message, huggingface_folder, tmp_path
) -> None:
    config = json.loads((huggingface_folder / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, **change}))
    with pytest.raises(CheckpointError, match=message):
        convert(
            Conversion(
                huggingface_folder,
                tmp_path / "out",
                "mindmlm",
                model_config=tmp_path / "config.json",
            )
        )
    assert not (tmp_path / "out").exists()


def test_weights_alone_need_a_description(huggingface_folder, tmp_path) -> None:
    lonely = tmp_path / "alone" / "weights.safetensors"
    lonely.parent.mkdir()
    lonely.write_bytes((huggingface_folder / "model.safetensors").read_bytes())
    with pytest.raises(CheckpointError, match="--model_config"):
        convert(Conversion(lonely, tmp_path / "out", "mindmlm"))
    described = Conversion(
        lonely,
        tmp_path / "out",
        "mindmlm",
        model_config=huggingface_folder / "config.json",
        tokenizer=GivenTokenizer(huggingface_folder / "vocab.txt"),
    )
    convert(described)
    assert find_in_folder(tmp_path / "out").checkpoint.step == 0


def test_nothing_is_overwritten(huggingface_folder, tmp_path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "precious").write_text("x")
    for target in ("mindmlm", "huggingface", "mindspore", "pytorch"):
        with pytest.raises(CheckpointError, match="nothing is overwritten"):
            convert(Conversion(huggingface_folder, tmp_path / "out", target))
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["precious"]


def test_a_changed_weight_file_of_ours_is_found(huggingface_folder, tmp_path, imported) -> None:
    convert(Conversion(huggingface_folder, tmp_path / "out", "huggingface"))
    path = tmp_path / "out" / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-7] ^= 4
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match=r"SHA-256 is not the one in sha256sums\.txt"):
        imported(tmp_path / "out")
