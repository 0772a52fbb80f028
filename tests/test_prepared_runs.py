"""Runs on records, packed documents and length buckets: stopped and resumed, bit for bit."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mindmlm.cli.build_dataset import main as build_dataset
from mindmlm.tokenizers.bert import vocab_text
from mindmlm.tokenizers.vocab_training import train_vocab

pytestmark = pytest.mark.slow

STATIC = ["--static", "--max_predictions_per_seq=6", "--dupe_factor=2", "--format=tfrecord"]
RUNS = {
    "MindDataset": ["--dynamic", "--format=mindrecord", "--sentence_pairs=sop"],
    "TFRecordDataset": STATIC,
    "packed": ["train_dataset.sample_mode=packed", "train_dataset.attend_across_documents=False"],
    "buckets": ["train_dataset.bucket_lengths=[16,24]"],
}


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from mindmlm.data.samples import english_topics

    folder = tmp_path_factory.mktemp("text")
    lines = [line for paragraphs in english_topics() for line in paragraphs][:600]
    (folder / "text.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    vocab = train_vocab(lines, 1000, True)
    (folder / "vocab.txt").write_text(vocab_text(vocab), encoding="utf-8")
    return folder


def run(project_root: Path, text: Path, output: Path, *options: str) -> list[dict]:
    command = [
        sys.executable,
        str(project_root / "run_mindformer.py"),
        *("--config", str(project_root / "configs/bert/run_bert_tiny_en.yaml")),
        *("--vocab_file", str(text / "vocab.txt"), "--output_dir", str(output)),
        *("--max_steps", "6", "--batch_size", "4", "--save_checkpoint_steps", "3"),
        *("--train_dataset.max_seq_length", "32", "--options", *options),
    ]
    environment = {**os.environ, "PYTHONPATH": str(project_root)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    lines = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
    return [{key: line[key] for key in line if key.endswith("loss")} for line in lines]


@pytest.mark.parametrize("name", RUNS)
def test_a_resumed_run_repeats_the_unbroken_one(project_root, text, tmp_path, name):
    options = RUNS[name]
    data = text / "text.txt"
    if name.endswith("Dataset"):
        data = tmp_path / "records"
        flags = ["--vocab_file", str(text / "vocab.txt"), "--max_seq_length=32", *options]
        files = ["--input_file", str(text / "text.txt"), "--output_file", str(data)]
        assert build_dataset([*files, *flags, "--num_workers=1", "--segmenter=none"]) == 0
        options = [f"train_dataset.data_loader.type={name}"]
    options = [*options, f"train_dataset.data_loader.dataset_dir={data}"]
    whole = run(project_root, text, tmp_path / "whole", *options)
    shutil.copytree(tmp_path / "whole", tmp_path / "again")
    checkpoints = tmp_path / "again" / "checkpoint"
    shutil.rmtree(checkpoints / "step_00000006")
    (checkpoints / "latest").write_text("step_00000003\n")
    resumed = run(project_root, text, tmp_path / "again", *options, "load_checkpoint=latest")
    assert "resumed at step 3" in (tmp_path / "again" / "log" / "rank_0.log").read_text()
    assert resumed == whole
    assert len(whole) >= 7
