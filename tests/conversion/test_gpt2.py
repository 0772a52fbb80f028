"""GPT-2 in and out, against transformers itself."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from safetensors.numpy import load_file

from mindmlm.checkpoint import find_in_folder
from mindmlm.cli import convert_checkpoint
from mindmlm.config.checks import check_consistency
from mindmlm.config.schema import RunConfig
from mindmlm.conversion.architectures import GPT2
from mindmlm.conversion.comparing import compare
from mindmlm.conversion.convert import Conversion, convert
from mindmlm.conversion.describing import describe_foreign
from mindmlm.conversion.model_config import read_model_config
from mindmlm.conversion.resharding import FileLayout
from mindmlm.conversion.tokenizer_files import GivenTokenizer
from mindmlm.errors import CheckpointError, DataError
from mindmlm.parallel.layout import ParallelLayout
from mindmlm.testing.tiny_gpt2 import (
    MERGES,
    SHAPE,
    TOKENS,
    VOCAB,
    fill,
    huggingface_gpt2,
    huggingface_logits,
    our_logits,
    random_ids,
    save_huggingface,
)

TEXT = "the lander and the  rover\nin a café, 北京 <|endoftext|>"


@pytest.fixture(scope="module")
def model():
    return huggingface_gpt2(deviation=0.1)


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory) -> Path:
    """What OpenAI's folders hold; tests read it only."""
    return save_huggingface(model, tmp_path_factory.mktemp("gpt2") / "tiny")


def copy(source: Path, target: Path) -> Path:
    target.mkdir()
    for path in source.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    return target


def changed_config(source: Path, target: Path, **keys) -> Path:
    """A folder whose `config.json` has other values; None removes a key."""
    copy(source, target)
    content = json.loads((target / "config.json").read_text()) | keys
    content = {key: value for key, value in content.items() if value is not None or key not in keys}
    (target / "config.json").write_text(json.dumps(content))
    return target


def logits_of_run(path: Path, ids: np.ndarray) -> np.ndarray:
    from mindmlm.models.gpt2.heads import GPT2LMHeadModel

    checkpoint = find_in_folder(path).checkpoint
    settings = RunConfig.model_validate(checkpoint.config).model.settings
    return our_logits(
        fill(GPT2LMHeadModel(settings, settings.vocab_size), checkpoint.tensors("model")), ids
    )


def save_tokenizer_json(model, path: Path) -> Path:
    """As transformers saves today: one file for the tokenizer."""
    save_huggingface(model, path)
    fast = transformers.GPT2TokenizerFast.from_pretrained(path)
    for name in ("vocab.json", "merges.txt"):
        (path / name).unlink()
    fast.save_pretrained(path)
    for name in ("vocab.json", "merges.txt"):
        (path / name).unlink(missing_ok=True)
    assert (path / "tokenizer.json").is_file()
    return path


def save_bin(model, path: Path) -> Path:
    save_huggingface(model, path)
    (path / "model.safetensors").unlink()
    torch.save(model.state_dict(), path / "pytorch_model.bin")
    return path


def save_bare(model, path: Path) -> Path:
    """As OpenAI's own folder is: without the prefix and the head."""
    save_huggingface(model, path)
    model.transformer.save_pretrained(path)
    return path


FORMS = {
    "safetensors": save_huggingface,
    "sharded": lambda model, path: save_huggingface(model, path, max_shard_size="20KB"),
    "bin": save_bin,
    "bare": save_bare,
    "tokenizer.json": save_tokenizer_json,
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_logits_of_transformers(form, model, tmp_path, graph_mode) -> None:
    report = convert(Conversion(FORMS[form](model, tmp_path / "in"), tmp_path / "run", "mindmlm"))
    assert len(report.of("divided")) == 2 * 3 * SHAPE["num_hidden_layers"]
    ids = random_ids(2)
    difference = logits_of_run(tmp_path / "run", ids) - huggingface_logits(model, ids)
    assert np.abs(difference).max() <= 1e-5
    assert json.loads((tmp_path / "run" / "vocab.json").read_text())[TOKENS[-1]] == VOCAB - 1


@pytest.mark.parametrize("activation", ["gelu", "relu"])
def test_settings_change_what_is_computed(activation, tmp_path, graph_mode) -> None:
    model = huggingface_gpt2(
        3, 0.1, activation_function=activation, layer_norm_epsilon=1e-3, n_inner=40, n_head=2
    )
    convert(Conversion(save_huggingface(model, tmp_path / "in"), tmp_path / "run", "mindmlm"))
    ids = random_ids(5)
    difference = logits_of_run(tmp_path / "run", ids) - huggingface_logits(model, ids)
    assert np.abs(difference).max() <= 1e-5


def test_what_we_write_loads_and_computes_the_same(folder, model, tmp_path) -> None:
    convert(Conversion(folder, tmp_path / "run", "mindmlm"))
    convert(Conversion(tmp_path / "run", tmp_path / "out", "huggingface"))
    again, info = transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path / "out", output_loading_info=True
    )
    assert info["missing_keys"] == info["unexpected_keys"] == info["mismatched_keys"] == []
    ids = random_ids(4)
    np.testing.assert_array_equal(
        huggingface_logits(again.eval(), ids), huggingface_logits(model, ids)
    )
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    before = transformers.GPT2TokenizerFast.from_pretrained(folder)
    assert theirs(TEXT)["input_ids"] == before(TEXT)["input_ids"]
    assert theirs.eos_token_id == again.config.eos_token_id == VOCAB - 1
    assert theirs.model_max_length == 20
    card = (tmp_path / "out" / "README.md").read_text()
    assert "text-generation" in card and f"{VOCAB} tokens" in card
    description = transformers.GPT2Config.from_pretrained(folder).to_dict()
    written = again.config.to_dict()
    differing = {k for k in written if written[k] != description.get(k)}
    assert differing <= {"_name_or_path", "torch_dtype", "dtype", "transformers_version"}


def test_there_and_back_is_bitwise_by_way_of_mindformers(folder, tmp_path) -> None:
    ckpt = tmp_path / "gpt2.ckpt"
    convert(Conversion(folder, ckpt, "mindspore", names="mindformers"))
    described = {
        "model_config": folder / "config.json",
        "tokenizer": GivenTokenizer(folder / "vocab.json", folder / "merges.txt"),
    }
    report = convert(Conversion(ckpt, tmp_path / "out", "huggingface", **described))
    assert report.names == "mindformers"
    first, second = (load_file(p / "model.safetensors") for p in (folder, tmp_path / "out"))
    assert second.keys() == first.keys() - {"lm_head.weight"}
    for name, value in second.items():
        np.testing.assert_array_equal(value, first[name], err_msg=name)


def test_files_of_another_layout_hold_the_same(folder, tmp_path) -> None:
    convert(Conversion(folder, tmp_path / "run", "mindmlm"))
    layout = FileLayout(ParallelLayout(1, 2, 2), vocab_emb_dp=False)
    convert(Conversion(tmp_path / "run", tmp_path / "cut", "mindmlm", layout=layout))
    manifest = find_in_folder(tmp_path / "cut").checkpoint.manifest
    assert len(manifest.files) == 4
    words = manifest.tensors["model"]["gpt2.embeddings.word"].slices
    assert [part.shape for part in words] == [[134, 24], [133, 24]]
    assert compare(tmp_path / "run", tmp_path / "cut")["only_in_first"] == []
    assert compare(tmp_path / "cut", folder)["same"]


def test_the_run_is_a_valid_configuration(folder, tmp_path) -> None:
    convert(Conversion(folder, tmp_path / "run", "mindmlm"))
    config = RunConfig.model_validate(find_in_folder(tmp_path / "run").checkpoint.config)
    assert check_consistency(config) == []
    assert config.model.arch.type == "GPT2LMHeadModel"
    assert config.processor.tokenizer.type == "GPT2Tokenizer"
    assert config.train_dataset.max_seq_length == 20


REFUSED = {
    "scale_attn_weights": False,
    "scale_attn_by_inverse_layer_idx": True,
    "add_cross_attention": True,
    "tie_word_embeddings": False,
    "activation_function": "swish",
    "n_layer": 0,
    "n_head": None,
    "model_type": "llama",
}


@pytest.mark.parametrize("key", REFUSED)
def test_what_is_no_gpt2_here_is_refused_by_its_key(key, folder, tmp_path) -> None:
    source = changed_config(folder, tmp_path / "in", **{key: REFUSED[key]})
    word = "num_hidden_layers" if key == "n_layer" else key
    with pytest.raises(CheckpointError, match=rf"config\.json: .*{word}|config\.json: {word}"):
        convert(Conversion(source, tmp_path / "out", "mindmlm"))
    assert not (tmp_path / "out").exists()


def test_a_description_of_2019_does_not_name_its_model(folder, tmp_path) -> None:
    source = changed_config(folder, tmp_path / "in", model_type=None, n_ctx=20)
    settings = read_model_config(source / "config.json")
    assert settings.type == "GPT2Config" and settings.hidden_act == "gelu_tanh"
    assert {key: getattr(settings, key) for key in SHAPE} == SHAPE


def test_flags_of_the_other_model_are_refused(folder, tmp_path) -> None:
    given = GivenTokenizer(do_lower_case=True)
    with pytest.raises(CheckpointError, match="do_lower_case"):
        convert(Conversion(folder, tmp_path / "out", "mindmlm", tokenizer=given))


def test_merges_of_another_vocabulary_are_refused(folder, tmp_path) -> None:
    source = copy(folder, tmp_path / "in")
    (source / "merges.txt").write_text("#version: 0.2\nq u\nqu q\n")
    with pytest.raises(DataError, match=r"merges\.txt:2.*does not hold"):
        convert(Conversion(source, tmp_path / "out", "mindmlm"))


def test_a_vocabulary_larger_than_the_model_is_refused(folder, tmp_path) -> None:
    source = copy(folder, tmp_path / "in")
    ids = {token: place for place, token in enumerate([*TOKENS, "extra"])}
    (source / "vocab.json").write_text(json.dumps(ids))
    with pytest.raises(CheckpointError, match=f"has {VOCAB + 1} tokens, the model {VOCAB} rows"):
        convert(Conversion(source, tmp_path / "out", "mindmlm"))


@pytest.mark.parametrize("new_rows", ["pieces", "mean"])
def test_a_longer_vocabulary(new_rows, folder, tmp_path) -> None:
    longer = tmp_path / "longer"
    longer.mkdir()
    tokens = [*TOKENS, "Ġthes", "åĮ"]  # " thes", and two of the three bytes of a character
    (longer / "vocab.json").write_text(json.dumps({t: n for n, t in enumerate(tokens)}))
    merges = [*MERGES, "Ġthe s", "å Į"]
    (longer / "merges.txt").write_text("".join(f"{merge}\n" for merge in merges))
    job = Conversion(
        folder,
        tmp_path / "out",
        "huggingface",
        resize_vocab=longer / "vocab.json",
        new_rows=new_rows,
        resize_positions=25,
    )
    report = convert(job)
    assert len(report.of("resized")) == 2
    old, new = (load_file(p / "model.safetensors") for p in (folder, tmp_path / "out"))
    words, before = new["transformer.wte.weight"], old["transformer.wte.weight"]
    np.testing.assert_array_equal(words[:VOCAB], before)
    pieces = [["Ġthe", "s"], ["å", "Į"]]
    for row, names in zip(words[VOCAB:], pieces, strict=True):
        ids = [TOKENS.index(name) for name in names] if new_rows == "pieces" else range(VOCAB)
        np.testing.assert_allclose(row, before[list(ids)].mean(axis=0), rtol=1e-5, atol=1e-7)
    assert new["transformer.wpe.weight"].shape == (25, 24)
    settings = read_model_config(tmp_path / "out" / "config.json")
    assert (settings.vocab_size, settings.max_position_embeddings) == (VOCAB + 2, 25)
    (longer / "merges.txt").write_text("".join(f"{merge}\n" for merge in merges[::-1]))
    with pytest.raises(CheckpointError, match="must begin with"):
        convert(Conversion(folder, tmp_path / "no", "mindmlm", resize_vocab=longer / "vocab.json"))


def test_new_values_of_what_is_missing_have_their_spread(tmp_path) -> None:
    from mindmlm.conversion.matching import Allowances

    model = huggingface_gpt2(n_layer=8)
    folder = save_huggingface(model, tmp_path / "in")
    state = {n: v for n, v in model.state_dict().items() if ".7." not in n and "lm_head" not in n}
    (folder / "model.safetensors").unlink()
    torch.save(state, folder / "pytorch_model.bin")
    allowed = Allowances(missing=("gpt2.layers.7.*",))
    convert(Conversion(folder, tmp_path / "out", "mindmlm", allowances=allowed))
    weights = find_in_folder(tmp_path / "out").checkpoint.tensors("model")
    layer = "gpt2.layers.7"
    assert np.std(weights[f"{layer}.intermediate.weight"]) == pytest.approx(0.02, rel=0.1)
    assert np.std(weights[f"{layer}.output.weight"]) == pytest.approx(0.005, rel=0.1)


def test_the_command(folder, tmp_path, capsys) -> None:
    words = [f"--input={folder}", f"--output={tmp_path / 'run'}", "--to=mindmlm"]
    assert convert_checkpoint.main(words) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "run")
    words = [f"--input={tmp_path / 'run'}", f"--output={tmp_path / 'x.ckpt'}", "--to=mindspore"]
    assert convert_checkpoint.main([*words, "--names=mindformers"]) == 0
    words = [f"--input={tmp_path / 'x.ckpt'}", f"--output={tmp_path / 'out'}", "--to=pytorch"]
    assert convert_checkpoint.main(words) == 2
    assert "--model_config" in capsys.readouterr().err
    words += [f"--model_config={folder / 'config.json'}"]
    words += [f"--vocab_file={folder / 'vocab.json'}", f"--merges_file={folder / 'merges.txt'}"]
    assert convert_checkpoint.main(words) == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"vocab.json", "merges.txt"}


def test_a_description(folder) -> None:
    found = describe_foreign(folder)
    assert found["model"] == GPT2.name and found["vocabulary"] == VOCAB
    assert found["model_config"]["num_attention_heads"] == 3
