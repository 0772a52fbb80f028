"""DistilBERT between transformers and us: the same logits, both ways."""

import json

import numpy as np
import pytest

from mindmlm.config.schema import RunConfig
from mindmlm.conversion.convert import Conversion, convert
from mindmlm.conversion.model_config import read_model_config
from mindmlm.conversion.starting_point import open_foreign
from mindmlm.errors import CheckpointError
from mindmlm.testing.tiny_bert import (
    SHAPE,
    TOKENS,
    VOCAB,
    huggingface_bert,
    huggingface_logits,
    our_logits,
    random_batch,
    save_huggingface,
)

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

KEYS = {
    "hidden_size": "dim",
    "num_hidden_layers": "n_layers",
    "num_attention_heads": "n_heads",
    "intermediate_size": "hidden_dim",
    "max_position_embeddings": "max_position_embeddings",
}


def distilbert(seed=0):
    torch.manual_seed(seed)
    shape = {theirs: SHAPE[ours] for ours, theirs in KEYS.items()}
    model = transformers.DistilBertForMaskedLM(
        transformers.DistilBertConfig(vocab_size=VOCAB, **shape)
    ).eval()
    for value in model.parameters():
        torch.nn.init.normal_(value, std=0.2)
    return model


def distilbert_logits(model, batch):
    ids, mask = (torch.from_numpy(batch[key].astype(np.int64)) for key in ("ids", "mask"))
    with torch.no_grad():
        return model(input_ids=ids, attention_mask=mask).logits.numpy()


def opened(path):
    """Weights by our names and settings of a checkpoint of another library."""
    start = open_foreign(path, RunConfig.model_validate({"train_dataset": {"max_seq_length": 16}}))
    return dict(start.checkpoint.iterate("model")), start.config.model.settings


def one_segment(seed=3):
    batch = random_batch(seed)
    return {**batch, "segments": np.zeros_like(batch["segments"])}


def inside(logits, batch):
    return logits[batch["mask"].astype(bool)]


def test_a_distilbert_gives_its_logits_here(tmp_path, graph_mode):
    theirs = distilbert()
    weights, settings = opened(save_huggingface(theirs, tmp_path / "hf"))
    batch = one_segment()
    assert not weights["bert.embeddings.token_type"].any()
    ours = our_logits(weights, settings, batch)
    expected = distilbert_logits(theirs, batch)
    np.testing.assert_allclose(inside(ours, batch), inside(expected, batch), atol=1e-5)


@pytest.mark.parametrize("target", ["huggingface", "pytorch"])
def test_a_bert_of_one_segment_becomes_a_distilbert(tmp_path, target):
    theirs = huggingface_bert()
    source = save_huggingface(theirs, tmp_path / "bert")
    report = convert(Conversion(source, tmp_path / "out", target, names="distilbert"))
    assert any("token_type" in line.ours for line in report.of("left out"))
    loaded = transformers.AutoModelForMaskedLM.from_pretrained(tmp_path / "out").eval()
    assert type(loaded).__name__ == "DistilBertForMaskedLM"
    batch = one_segment()
    expected = huggingface_logits(theirs, batch)
    found = distilbert_logits(loaded, batch)
    np.testing.assert_allclose(inside(found, batch), inside(expected, batch), atol=1e-5)
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    encoded = tokenizer("word1 word2", return_tensors="pt")
    assert "token_type_ids" not in encoded
    assert loaded(**encoded).logits.shape == (1, 4, VOCAB)
    assert list(tokenizer.get_vocab()) and len(tokenizer) == len(TOKENS)


def test_there_and_back_changes_no_number(tmp_path):
    source = save_huggingface(distilbert(), tmp_path / "hf")
    convert(Conversion(source, tmp_path / "run", "mindmlm"))
    convert(Conversion(tmp_path / "run", tmp_path / "back", "huggingface", names="distilbert"))
    first, second = (
        transformers.DistilBertForMaskedLM.from_pretrained(folder).state_dict()
        for folder in (source, tmp_path / "back")
    )
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_what_is_no_distilbert_is_refused(tmp_path):
    source = save_huggingface(huggingface_bert(layer_norm_eps=1e-5), tmp_path / "bert")
    with pytest.raises(CheckpointError, match="epsilon of 1e-12"):
        convert(Conversion(source, tmp_path / "out", "huggingface", names="distilbert"))
    assert not (tmp_path / "out").exists()
    with pytest.raises(CheckpointError, match="--to huggingface or pytorch"):
        convert(Conversion(source, tmp_path / "out", "mindspore", names="distilbert"))
    answers = save_huggingface(huggingface_bert("BertForQuestionAnswering"), tmp_path / "qa")
    with pytest.raises(CheckpointError, match="only a BertForMaskedLM"):
        convert(Conversion(answers, tmp_path / "out", "huggingface", names="distilbert"))
    described = tmp_path / "config.json"
    content = {"model_type": "distilbert", "sinusoidal_pos_embds": True, "vocab_size": VOCAB}
    content |= {theirs: SHAPE[ours] for ours, theirs in KEYS.items()}
    described.write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match="sinusoidal_pos_embds is True"):
        read_model_config(described)
