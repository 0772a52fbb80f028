"""Keys of sources reach the sources."""

from pathlib import Path

import pytest

from mindmlm.build_data.sources import corpus_sources, training_dataset
from mindmlm.config import load_config
from mindmlm.data.report import ReadReport
from mindmlm.data.sources.base import read_documents

CONFIG = Path(__file__).resolve().parents[2] / "configs" / "bert" / "run_bert_tiny_zh.yaml"
TRAINING, EVALUATION = "train_dataset.data_loader", "eval_dataset.data_loader"


@pytest.mark.parametrize("key", ["endpoint_url", "credentials_file"])
def test_access_to_an_object_store(tmp_path, key):
    value = tmp_path / "value"
    value.touch()
    options = [f"{TRAINING}.dataset_dir=s3://bucket/text.txt", f"{TRAINING}.{key}={value}"]
    config = load_config(CONFIG, options, require_inputs=False).config
    assert getattr(training_dataset(config, tmp_path).location.access, key) == str(value)


@pytest.mark.parametrize(
    ("key", "value", "lines"),
    [("file_format", "jsonl", ["eval"]), ("text_field", "title", ["other"])],
)
def test_evaluation_text_has_a_form_of_its_own(tmp_path, key, value, lines):
    train, evaluation = tmp_path / "train.txt", tmp_path / "eval.txt"
    train.write_text("training\n", encoding="utf-8")
    evaluation.write_text('{"text": "eval", "title": "other"}\n', encoding="utf-8")
    options = [f"{TRAINING}.dataset_dir={train}", f"{EVALUATION}.dataset_dir={evaluation}"]
    if key == "text_field":
        options.append(f"{EVALUATION}.file_format=jsonl")

    def read(*more):
        config = load_config(CONFIG, [*options, *more]).config
        source = corpus_sources(config, tmp_path).evaluation
        return [line for doc in read_documents(source, ReadReport()) for line in doc.lines]

    assert read() != lines
    assert read(f"{EVALUATION}.{key}={value}") == lines
