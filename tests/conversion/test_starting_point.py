"""What `load_checkpoint` means, before a model is built."""

import json
import logging
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from safetensors.numpy import load_file

from mindmlm.config.schema import RunConfig
from mindmlm.conversion.convert import Conversion, convert
from mindmlm.conversion.readers.tensorflow import TensorFlowCheckpoint
from mindmlm.conversion.starting_point import ForeignStart, foreign_path, open_foreign
from mindmlm.errors import CheckpointError, ConfigError
from mindmlm.testing.tiny_bert import SHAPE, TOKENS

FIXTURE = Path(__file__).parent / "tf1_bert"
PAIRS = {"max_seq_length": 20, "sentence_pairs": "nsp"}


def open_start(given: RunConfig) -> ForeignStart:
    path = foreign_path(given)
    assert path is not None
    return open_foreign(path, given)


def config(path, **changes) -> RunConfig:
    content = {
        "load_checkpoint": str(path),
        "run_mode": "finetune",
        "train_dataset": {"max_seq_length": 20},
        "model": {"model_config": {"hidden_size": 768, "hidden_dropout_prob": 0.3}},
        **changes,
    }
    return RunConfig.model_validate(content)


def test_a_folder_brings_its_model_and_its_vocabulary(huggingface_folder, caplog) -> None:
    with caplog.at_level(logging.INFO):
        start = open_start(config(huggingface_folder))
    settings = start.config.model.settings
    assert {key: getattr(settings, key) for key in SHAPE} == SHAPE
    assert settings.vocab_size == len(TOKENS)
    # How it is trained stays the run's.
    assert settings.hidden_dropout_prob == 0.3
    assert start.checkpoint.make_tokenizer().vocab == TOKENS
    assert "model_config.hidden_size: 24, from the checkpoint, not 768" in caplog.text
    assert "42 loaded" in caplog.text


def test_blocks_and_wholes_are_those_of_the_file(huggingface_folder) -> None:
    checkpoint = open_start(config(huggingface_folder)).checkpoint
    expected = load_file(huggingface_folder / "model.safetensors")
    found = dict(checkpoint.iterate("model"))
    assert {n: a.shape for n, a in found.items()} == {
        n: checkpoint.shape("model", n) for n in checkpoint.records("model")
    }
    name = "bert.layers.1.output.weight"
    theirs = expected["bert.encoder.layer.1.output.dense.weight"]
    np.testing.assert_array_equal(found[name], theirs)
    wanted = {name: (slice(5, 11), slice(3, 40)), "head.bias": (slice(60, 61),)}
    parts = dict(checkpoint.blocks("model", wanted))
    np.testing.assert_array_equal(parts[name], theirs[5:11, 3:40])
    np.testing.assert_array_equal(parts["head.bias"], expected["cls.predictions.bias"][60:])
    assert all(part.flags.c_contiguous and part.flags.writeable for part in parts.values())
    with pytest.raises(CheckpointError, match="no group 'optimizer'"):
        checkpoint.records("optimizer")


def test_google_and_names(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("MINDMLM_HOME", str(tmp_path))
    (tmp_path / "google_tiny").mkdir()
    for path in FIXTURE.glob("bert_*"):
        (tmp_path / "google_tiny" / path.name).write_bytes(path.read_bytes())
    (tmp_path / "google_tiny" / "vocab.txt").write_bytes((FIXTURE / "vocab.txt").read_bytes())
    start = open_start(config("google_tiny"))
    assert start.checkpoint.path == tmp_path / "google_tiny"
    assert start.config.model.settings.add_pooling_layer
    with pytest.raises(CheckpointError, match="Nothing is downloaded"):
        open_start(config("bert_base_uncased"))


def test_pairs_take_over_the_head_of_google(tmp_path) -> None:
    for path in FIXTURE.glob("bert_*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "vocab.txt").write_bytes((FIXTURE / "vocab.txt").read_bytes())
    pairs = {"model": {"arch": {"type": "BertForPreTraining"}}}
    start = open_start(config(tmp_path, **pairs, train_dataset=PAIRS))
    found = dict(start.checkpoint.iterate("model"))
    theirs = TensorFlowCheckpoint(FIXTURE / "bert_model.ckpt")
    for ours, name in (("weight", "output_weights"), ("bias", "output_bias")):
        expected = theirs.read(f"cls/seq_relationship/{name}")
        np.testing.assert_array_equal(found[f"seq_relationship.{ours}"], expected)


def test_pairs_begin_at_random_where_a_file_has_no_head(huggingface_folder) -> None:
    pairs = {"model": {"arch": {"type": "BertForPreTraining"}}, "train_dataset": PAIRS}
    with pytest.raises(CheckpointError, match=r"seq_relationship"):
        open_start(config(huggingface_folder, **pairs, run_mode="train"))
    start = open_start(config(huggingface_folder, **pairs))
    found = dict(start.checkpoint.iterate("model"))
    assert found["seq_relationship.weight"].std() == pytest.approx(0.02, rel=0.5)
    assert found["bert.pooler.weight"].std() == pytest.approx(0.02, rel=0.2)
    assert "head.dense.weight" in found


def test_a_file_without_a_description_takes_that_of_the_run(huggingface_folder, tmp_path) -> None:
    convert(Conversion(huggingface_folder, tmp_path / "x.ckpt", "mindspore"))
    (tmp_path / "vocab.txt").write_bytes((huggingface_folder / "vocab.txt").read_bytes())
    tokenizer = {"tokenizer": {"vocab_file": str(tmp_path / "vocab.txt")}}
    right = config(tmp_path / "x.ckpt", model={"model_config": SHAPE}, processor=tokenizer)
    start = open_start(right)
    assert len(dict(start.checkpoint.iterate("model"))) == 42
    wrong = {**SHAPE, "intermediate_size": 48}
    with pytest.raises(CheckpointError, match=r"\[40, 24\] in the file, \[48, 24\] in the model"):
        open_start(config(tmp_path / "x.ckpt", model={"model_config": wrong}, processor=tokenizer))


def test_no_vocabulary_is_an_error(huggingface_folder, tmp_path) -> None:
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((huggingface_folder / name).read_bytes())
    with pytest.raises(CheckpointError, match="name it with --vocab_file"):
        open_start(config(tmp_path))


def test_a_longer_vocabulary_gets_rows_from_pieces(huggingface_folder, tmp_path) -> None:
    (tmp_path / "new.txt").write_text("\n".join([*TOKENS, "unheard"]))
    tokenizer = {"tokenizer": {"vocab_file": str(tmp_path / "new.txt")}}
    start = open_start(config(huggingface_folder, processor=tokenizer))
    rows = dict(start.checkpoint.iterate("model"))["bert.embeddings.word"]
    assert rows.shape == (62, 24)
    np.testing.assert_allclose(rows[61], rows[5:61].mean(axis=0), rtol=1e-5)
    assert start.config.model.settings.vocab_size == 62
    (tmp_path / "new.txt").write_text("\n".join([*TOKENS[:-1], "other"]))
    with pytest.raises(CheckpointError, match="belongs to another vocabulary"):
        open_start(config(huggingface_folder, processor=tokenizer))


def test_the_run_must_fit_the_model(huggingface_folder) -> None:
    with pytest.raises(ConfigError, match="rows of 128 tokens are longer than"):
        open_start(config(huggingface_folder, train_dataset={"max_seq_length": 128}))


def test_checkpoints_of_ours_stay_what_they_are(huggingface_folder, tmp_path) -> None:
    convert(Conversion(huggingface_folder, tmp_path / "run", "mindmlm"))
    for path in (tmp_path / "run", tmp_path / "run" / "checkpoint" / "step_00000000"):
        assert foreign_path(config(path)) is None
    assert foreign_path(config("latest")) is None
    assert foreign_path(config("")) is None


def test_a_fault_in_the_weights_stops_before_anything_is_built(
    huggingface_folder, tmp_path
) -> None:
    for path in huggingface_folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    content = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**content, "num_hidden_layers": 1}))
    with pytest.raises(CheckpointError, match=r"unexpected: bert\.encoder\.layer\.1"):
        open_start(config(tmp_path))


def test_the_values_reach_mindspore(huggingface_folder) -> None:
    checkpoint = open_start(config(huggingface_folder)).checkpoint
    for name, array in checkpoint.iterate("model"):
        np.testing.assert_array_equal(ms.Tensor(array).asnumpy(), array, err_msg=name)
