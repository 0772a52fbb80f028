"""RoBERTa's folders of transformers, in and out."""

import json

import numpy as np
import pytest
import torch
import transformers
from safetensors.numpy import load_file

from mindmlm.config.schema import RobertaModelConfig, RunConfig
from mindmlm.conversion.convert import Conversion, convert
from mindmlm.conversion.matching import Allowances
from mindmlm.conversion.starting_point import open_foreign
from mindmlm.errors import CheckpointError, ConfigError
from mindmlm.testing.tiny_bert import our_logits
from mindmlm.testing.tiny_roberta import (
    huggingface_roberta,
    save_huggingface,
    trained_tokenizer,
)

TOKENIZER = trained_tokenizer()
ROWS = TOKENIZER.vocab_size + 3
TEXT = "the cat <mask> on the mat"


@pytest.fixture(scope="module")
def model():
    return huggingface_roberta(ROWS, seed=5, layer_norm_eps=1e-5)


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    """What `save_pretrained` writes; tests read it only."""
    return save_huggingface(model, tmp_path_factory.mktemp("huggingface") / "tiny", TOKENIZER)


def batch_of(text):
    ids = TOKENIZER.encode_with_blanks(text)[None].astype(np.int32)
    return {"ids": ids, "mask": np.ones_like(ids), "segments": np.zeros_like(ids)}


def their_logits(model, batch):
    with torch.no_grad():
        return model(input_ids=torch.tensor(batch["ids"], dtype=torch.long)).logits.numpy()


def only_bin(model, folder):
    """A folder with a `pytorch_model.bin`, which repeats the tied tensors."""
    save_huggingface(model, folder, TOKENIZER)
    (folder / "model.safetensors").unlink()
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    return folder


@pytest.mark.parametrize("form", ["safetensors", "bin"])
def test_what_is_read_gives_the_logits_of_transformers(
    form, model, folder, tmp_path, imported, graph_mode
):
    path = folder if form == "safetensors" else only_bin(model, tmp_path / "bin")
    weights, settings, _ = imported(path)
    assert isinstance(settings, RobertaModelConfig) and settings.longest_row == 20
    batch = batch_of(TEXT)
    assert np.abs(our_logits(weights, settings, batch) - their_logits(model, batch)).max() < 1e-5


def test_what_we_write_loads_and_computes_the_same(model, folder, tmp_path):
    convert(Conversion(folder, tmp_path / "run", "mindmlm"))
    assert json.loads(json.dumps(_config(tmp_path / "run")))["model"]["arch"] == {
        "type": "RobertaForMaskedLM"
    }
    convert(Conversion(tmp_path / "run", tmp_path / "out", "huggingface"))
    loaded, info = transformers.AutoModelForMaskedLM.from_pretrained(
        tmp_path / "out", output_loading_info=True
    )
    assert type(loaded) is transformers.RobertaForMaskedLM
    assert info["missing_keys"] == info["unexpected_keys"] == info["mismatched_keys"] == []
    batch = batch_of(TEXT)
    np.testing.assert_array_equal(their_logits(loaded.eval(), batch), their_logits(model, batch))
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    assert tokenizer(TEXT)["input_ids"] == batch["ids"][0].tolist()
    assert tokenizer.model_max_length == 20 and tokenizer.mask_token == "<mask>"
    for name in ("model.safetensors", "vocab.json"):
        assert (tmp_path / "out" / name).is_file()
    assert "# out\n\nRoBERTa with the masked-language" in (tmp_path / "out/README.md").read_text()


def _config(run):
    from mindmlm.checkpoint import find_in_folder

    return find_in_folder(run).checkpoint.config


@pytest.mark.parametrize("target", ["mindmlm", "mindspore", "pytorch"])
def test_there_and_back_is_bitwise(folder, tmp_path, target):
    convert(Conversion(folder, tmp_path / "middle", target))
    convert(Conversion(tmp_path / "middle", tmp_path / "back", "huggingface"))
    expected = load_file(folder / "model.safetensors")
    found = load_file(tmp_path / "back" / "model.safetensors")
    assert found.keys() == expected.keys()
    assert all(found[name].tobytes() == value.tobytes() for name, value in expected.items())


def test_mindformers_has_no_names_for_it(folder, tmp_path):
    with pytest.raises(CheckpointError, match="mindformers has no RobertaForMaskedLM"):
        convert(Conversion(folder, tmp_path / "x.ckpt", "mindspore", names="mindformers"))
    assert not (tmp_path / "x.ckpt").exists()


def run_config(path, **changes):
    content = {
        "load_checkpoint": str(path),
        "run_mode": "finetune",
        "train_dataset": {"max_seq_length": 20},
        "model": {
            "model_config": {"type": "RobertaConfig"},
            "arch": {"type": "RobertaForMaskedLM"},
        },
        "processor": {"tokenizer": {"type": "RobertaTokenizer"}},
        **changes,
    }
    return RunConfig.model_validate(content)


def test_a_run_takes_model_and_tokenizer_from_a_folder(folder):
    start = open_foreign(folder, run_config(folder))
    settings = start.config.model.settings
    assert (settings.type, settings.hidden_size, settings.vocab_size) == ("RobertaConfig", 24, ROWS)
    assert settings.max_position_embeddings == 22 and settings.layer_norm_eps == 1e-5
    assert start.checkpoint.make_tokenizer().fingerprint() == TOKENIZER.fingerprint()
    assert start.config.processor.tokenizer.type == "RobertaTokenizer"
    with pytest.raises(ConfigError, match=r"rows of 21 tokens .*, 22 \(2 are not used\)"):
        open_foreign(folder, run_config(folder, train_dataset={"max_seq_length": 21}))


def test_a_bert_run_does_not_take_a_roberta(folder):
    config = RunConfig.model_validate({"load_checkpoint": str(folder), "run_mode": "finetune"})
    with pytest.raises(ConfigError, match=r"holds a RobertaForMaskedLM.*run_roberta_base\.yaml"):
        open_foreign(folder, config)


def test_a_tokenizer_json_alone_is_enough(folder, tmp_path, imported):
    names = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
    for name in names:
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    start = open_foreign(tmp_path, run_config(tmp_path))
    assert start.checkpoint.make_tokenizer().vocab == TOKENIZER.vocab


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("pad_token_id", 0, "pad_token_id is 0; the RoBERTa here computes with 1 only"),
        ("is_decoder", True, "is_decoder is True"),
        ("model_type", "xlm-roberta", "only 'bert', 'roberta', 'distilbert'"),
    ],
)
def test_what_would_compute_something_else_is_refused(folder, tmp_path, key, value, message):
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    content = json.loads((tmp_path / "config.json").read_text()) | {key: value}
    (tmp_path / "config.json").write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match=message):
        open_foreign(tmp_path, run_config(tmp_path))


def test_absent_keys_mean_what_they_mean_to_transformers(tmp_path):
    from mindmlm.conversion.model_config import read_model_config

    theirs = transformers.RobertaConfig(vocab_size=99, hidden_size=24, num_attention_heads=3)
    content = {"model_type": "roberta", "vocab_size": 99, "hidden_size": 24}
    content |= {"num_hidden_layers": 12, "num_attention_heads": 3, "intermediate_size": 3072}
    (tmp_path / "config.json").write_text(json.dumps(content))
    ours = read_model_config(tmp_path / "config.json")
    for key in ("max_position_embeddings", "type_vocab_size", "layer_norm_eps"):
        assert getattr(ours, key) == getattr(theirs, key), key


def test_a_checkpoint_with_a_pooler_and_without_a_head(model, tmp_path, imported):
    """A bare encoder, as many published folders are: its names have no prefix."""
    torch.manual_seed(1)
    encoder = transformers.RobertaModel(model.config)
    save_huggingface(encoder, tmp_path / "encoder", TOKENIZER)
    with pytest.raises(CheckpointError, match=r"head\.dense\.weight"):
        convert(Conversion(tmp_path / "encoder", tmp_path / "no", "mindmlm"))
    weights, settings, _ = imported(
        tmp_path / "encoder", allowances=Allowances(missing=("head.*",))
    )
    assert settings.add_pooling_layer
    state = encoder.state_dict()
    np.testing.assert_array_equal(
        weights["bert.pooler.weight"], state["pooler.dense.weight"].numpy()
    )
    np.testing.assert_array_equal(
        weights["bert.embeddings.position"],
        state["embeddings.position_embeddings.weight"].numpy(),
    )
