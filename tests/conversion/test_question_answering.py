"""Question answering between transformers and us: names, weights, descriptions, starting points."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from mindmlm.config.schema import RunConfig
from mindmlm.conversion.convert import Conversion, convert
from mindmlm.conversion.starting_point import open_foreign
from mindmlm.errors import CheckpointError
from mindmlm.models.initialization import initial_value
from mindmlm.testing.tiny_bert import huggingface_bert, save_huggingface

pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

QUESTIONS = {
    "train_dataset": {
        "max_seq_length": 20,
        "max_question_length": 5,
        "doc_stride": 3,
        "data_loader": {"type": "SQuADDataLoader"},
    },
    "model": {"arch": {"type": "BertForQuestionAnswering"}},
    "trainer": {"type": "QuestionAnsweringTrainer"},
}


def saved(folder: Path, kind: str) -> Path:
    return save_huggingface(huggingface_bert(kind), folder)


def config(path: Path, run_mode: str = "finetune") -> RunConfig:
    return RunConfig.model_validate(
        {**QUESTIONS, "run_mode": run_mode, "load_checkpoint": str(path)}
    )


def test_a_model_goes_to_us_and_back_bit_for_bit(tmp_path: Path) -> None:
    source = saved(tmp_path / "hf", "BertForQuestionAnswering")
    run, back = tmp_path / "run", tmp_path / "back"
    convert(Conversion(source, run, "mindmlm"))
    written = (run / "config.yaml").read_text()
    assert "BertForQuestionAnswering" in written and "QuestionAnsweringTrainer" in written
    assert "SQuADDataLoader" in written
    convert(Conversion(run, back, "huggingface"))
    theirs, ours = (load_file(folder / "model.safetensors") for folder in (source, back))
    assert theirs.keys() == ours.keys() and "qa_outputs.weight" in ours
    assert all(np.array_equal(theirs[name], ours[name]) for name in theirs)
    described = json.loads((back / "config.json").read_text())
    assert described["architectures"] == ["BertForQuestionAnswering"]
    assert "AutoModelForQuestionAnswering" in (back / "README.md").read_text()
    loaded = transformers.AutoModelForQuestionAnswering.from_pretrained(back)
    assert type(loaded).__name__ == "BertForQuestionAnswering"


@pytest.mark.parametrize("kind", ["BertForMaskedLM", "BertForPreTraining", "BertModel"])
def test_fine_tuning_makes_a_new_head(tmp_path: Path, kind: str) -> None:
    source = saved(tmp_path / "hf", kind)
    start = open_foreign(source, config(source))
    shapes = {name: record.shape for name, record in start.checkpoint.records("model").items()}
    assert shapes["qa.weight"] == (2, 24) and not any(name.startswith("head") for name in shapes)
    found = dict(start.checkpoint.iterate("model"))
    expected = initial_value("qa.weight", (2, 24), start.config.seed, 0.02)
    np.testing.assert_array_equal(found["qa.weight"], expected)
    theirs = load_file(source / "model.safetensors")
    name = "encoder.layer.1.output.dense.weight"
    array = theirs[name if kind == "BertModel" else f"bert.{name}"]
    np.testing.assert_array_equal(found["bert.layers.1.output.weight"], array)
    with pytest.raises(CheckpointError, match=r"qa\.weight"):
        open_foreign(source, config(source, "eval"))


def test_a_trained_head_is_taken_over(tmp_path: Path) -> None:
    source = saved(tmp_path / "hf", "BertForQuestionAnswering")
    for run_mode in ("finetune", "eval", "predict"):
        start = open_foreign(source, config(source, run_mode))
        found = dict(start.checkpoint.iterate("model"))
        theirs = load_file(source / "model.safetensors")
        for ours, name in (("qa.weight", "qa_outputs.weight"), ("qa.bias", "qa_outputs.bias")):
            np.testing.assert_array_equal(found[ours], theirs[name])
