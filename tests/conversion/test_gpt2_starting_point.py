"""What `load_checkpoint` means for a GPT-2."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest

from mindmlm.config.schema import RunConfig
from mindmlm.conversion.convert import Conversion, convert
from mindmlm.conversion.starting_point import ForeignStart, foreign_path, open_foreign
from mindmlm.errors import CheckpointError, ConfigError
from mindmlm.testing.tiny_gpt2 import (
    MERGES,
    SHAPE,
    TOKENS,
    VOCAB,
    huggingface_gpt2,
    save_huggingface,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return save_huggingface(huggingface_gpt2(), tmp_path_factory.mktemp("gpt2") / "tiny")


def config(path, settings=None, **tokenizer) -> RunConfig:
    model = {"type": "GPT2Config", "hidden_size": 96, "embedding_dropout_prob": 0.3}
    return RunConfig.model_validate(
        {
            "load_checkpoint": str(path),
            "run_mode": "finetune",
            "trainer": {"type": "CausalLanguageModelingTrainer"},
            "train_dataset": {"max_seq_length": 16},
            "model": {
                "model_config": model | (settings or {}),
                "arch": {"type": "GPT2LMHeadModel"},
            },
            "processor": {"tokenizer": {"type": "GPT2Tokenizer", **tokenizer}},
        }
    )


def open_start(given: RunConfig) -> ForeignStart:
    path = foreign_path(given)
    assert path is not None
    return open_foreign(path, given)


def test_a_folder_brings_its_model_and_its_tokenizer(folder, caplog) -> None:
    with caplog.at_level(logging.INFO):
        start = open_start(config(folder))
    settings = start.config.model.settings
    assert {key: getattr(settings, key) for key in SHAPE} == SHAPE
    assert settings.vocab_size == VOCAB
    # How it is trained stays the run's.
    assert settings.embedding_dropout_prob == 0.3
    tokenizer = start.checkpoint.make_tokenizer()
    assert tokenizer.vocab == TOKENS
    assert tokenizer.decode(tokenizer.encode_ids(["and the"])[0]) == "and the"
    assert start.checkpoint.state["tokenizer_fingerprint"] == tokenizer.fingerprint()
    assert start.config.processor.tokenizer.train_vocab_size == VOCAB
    assert "model_config.hidden_size: 24, from the checkpoint, not 96" in caplog.text
    assert "do_lower_case" not in caplog.text


def test_blocks_are_those_of_the_file(folder) -> None:
    checkpoint = open_start(config(folder)).checkpoint
    whole = dict(checkpoint.iterate("model"))
    theirs = huggingface_gpt2().state_dict()["transformer.h.1.attn.c_attn.weight"].numpy()
    name = "gpt2.layers.1.attention.key.weight"
    np.testing.assert_array_equal(whole[name], theirs[:, 24:48].T)
    part = dict(checkpoint.blocks("model", {name: (slice(8, 16), slice(0, 24))}))[name]
    np.testing.assert_array_equal(part, whole[name][8:16])
    assert part.flags.c_contiguous and part.flags.writeable


def test_a_configuration_of_another_model_is_refused(folder, huggingface_folder) -> None:
    bert = RunConfig.model_validate(
        {"load_checkpoint": str(folder), "train_dataset": {"max_seq_length": 16}}
    )
    with pytest.raises(ConfigError, match=r"holds a GPT2LMHeadModel.*run_gpt2\.yaml"):
        open_start(bert)
    with pytest.raises(ConfigError, match=r"holds a BertForMaskedLM.*configs/bert/"):
        open_start(config(huggingface_folder))


def test_a_file_without_a_description_takes_that_of_the_run(folder, tmp_path) -> None:
    convert(Conversion(folder, tmp_path / "x.ckpt", "mindspore"))
    for name in ("vocab.json", "merges.txt"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    start = open_start(config(tmp_path / "x.ckpt", SHAPE))
    assert len(dict(start.checkpoint.iterate("model"))) == 2 + 16 * 2 + 2
    assert start.config.model.settings.vocab_size == VOCAB
    (tmp_path / "merges.txt").unlink()
    with pytest.raises(CheckpointError, match="name it with --vocab_file"):
        open_start(config(tmp_path / "x.ckpt", SHAPE))
    given = {"vocab_file": str(folder / "vocab.json"), "merges_file": str(folder / "merges.txt")}
    assert open_start(config(tmp_path / "x.ckpt", SHAPE, **given)).checkpoint.step == 0


def test_a_longer_vocabulary_gets_rows_from_pieces(folder, tmp_path) -> None:
    vocab, merges = tmp_path / "vocab.json", tmp_path / "merges.txt"
    vocab.write_text(json.dumps({t: n for n, t in enumerate([*TOKENS, "Ġthes"])}))
    merges.write_text("".join(f"{merge}\n" for merge in [*MERGES, "Ġthe s"]))
    start = open_start(config(folder, vocab_file=str(vocab), merges_file=str(merges)))
    rows = dict(start.checkpoint.iterate("model"))["gpt2.embeddings.word"]
    pieces = [TOKENS.index("Ġthe"), TOKENS.index("s")]
    np.testing.assert_allclose(rows[VOCAB], rows[pieces].mean(axis=0), rtol=1e-5)
    assert start.config.model.settings.vocab_size == VOCAB + 1
    merges.write_text("".join(f"{merge}\n" for merge in ["Ġthe s", *MERGES]))
    vocab.write_text(json.dumps({t: n for n, t in enumerate([*TOKENS, "Ġthes"])}))
    with pytest.raises(CheckpointError, match="belongs to another vocabulary"):
        open_start(config(folder, vocab_file=str(vocab), merges_file=str(merges)))


def test_the_run_must_fit_the_model(folder) -> None:
    long = config(folder)
    rows = long.train_dataset.model_copy(update={"max_seq_length": 64})
    with pytest.raises(ConfigError, match="rows of 64 tokens are longer than"):
        open_start(long.model_copy(update={"train_dataset": rows}))
