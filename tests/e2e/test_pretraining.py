"""Sentence pairs through the command line: train, resume, next phase, other heads, records."""

import json
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest

from mindmlm.checkpoint import read_checkpoint
from mindmlm.cli.build_dataset import main as build_dataset
from mindmlm.testing.corpus import write_documents

PROJECT = Path(__file__).resolve().parents[2]
TERMS = ("masked_lm_loss", "sentence_pair_loss", "sentence_pair_accuracy")


@pytest.fixture(scope="module")
def documents(tmp_path_factory):
    return write_documents(tmp_path_factory.mktemp("documents") / "text.txt", 80)


@pytest.fixture(scope="module")
def words(command, documents):
    """A function (output folder, configuration, more words) -> arguments of a run of 12 steps."""

    def arguments(folder, config="run_nsp_tiny_zh.yaml", *more):
        path = command.project_root / "configs" / "bert" / config
        base = command.words(folder)
        return [f"--config={path}", *base[1:], f"--dataset_dir={documents}", *more]

    return arguments


@pytest.fixture(scope="module")
def run(command, words, tmp_path_factory):
    """The output folder of a finished run; read only."""
    folder = tmp_path_factory.mktemp("pairs") / "run"
    done = command.here(*words(folder))
    assert done.code == 0, done.stderr
    return folder


def lines(folder) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def last_checkpoint(folder):
    return read_checkpoint(max((folder / "checkpoint").glob("step_*")))


def test_every_term_is_measured(run):
    steps = [line for line in lines(run) if "learning_rate" in line]
    evaluations = [line for line in lines(run) if "eval_loss" in line]
    assert len(steps) == 12 and len(evaluations) == 3
    for line in steps:
        assert line["loss"] == pytest.approx(line["masked_lm_loss"] + line["sentence_pair_loss"])
        assert line["sentence_pair_accuracy"] * 4 in (0, 1, 2, 3, 4)
    for line in evaluations:
        masked, pairs, accuracy = (line[f"eval_{name}"] for name in TERMS)
        assert line["eval_loss"] == pytest.approx(masked + pairs)
        assert line["eval_perplexity"] == pytest.approx(np.exp(masked))
        assert 0.0 <= accuracy <= 1.0
    assert evaluations[-1]["eval_loss"] < evaluations[0]["eval_loss"]
    weights = last_checkpoint(run).tensors("model")
    assert weights["seq_relationship.weight"].shape == (2, 32)
    assert weights["bert.pooler.weight"].shape == (32, 32)


def test_a_resumed_run_is_the_unbroken_one(command, words, run, tmp_path):
    half = tmp_path / "half"
    shutil.copytree(run, half)
    shutil.rmtree(half / "checkpoint" / "step_00000012")
    (half / "checkpoint" / "latest").unlink()
    done = command.here(*words(half, "run_nsp_tiny_zh.yaml", "--load_checkpoint=latest"))
    assert done.code == 0, done.stderr
    timeless = [
        [{k: v for k, v in line.items() if "per_second" not in k} for line in lines(folder)]
        for folder in (half, run)
    ]
    assert timeless[0] == timeless[1]


def test_evaluation_and_blanks(command, words, run, documents, tmp_path):
    held_out = ("--dataset_dir=", f"--train_dataset.data_loader.dataset_dir={documents}")
    more = ("--run_mode=eval", f"--load_checkpoint={run}", *held_out)
    done = command.here(*words(tmp_path / "out", "run_nsp_tiny_zh.yaml", *more))
    assert done.code == 0, done.stderr
    assert json.loads(done.stdout) == pytest.approx(lines(run)[-1], rel=1e-6)
    more = ("--run_mode=predict", f"--load_checkpoint={run}", "--predict_data=天[MASK]")
    done = command.here(*words(tmp_path / "asked", "run_nsp_tiny_zh.yaml", *more))
    assert done.code == 0, done.stderr
    assert "score" in done.stdout


def test_a_second_phase_goes_on_with_weights_and_moments(command, words, run, tmp_path):
    found = {}
    for keep in (True, False):
        more = (
            *("--run_mode=finetune", f"--load_checkpoint={run}", "--max_steps=1"),
            *("--train_dataset.max_seq_length=48", "--lr_schedule.learning_rate=1e-12"),
            *("--lr_schedule.warmup_ratio=0", f"--optimizer.keep_state={keep}"),
        )
        folder = tmp_path / str(keep)
        done = command.here(*words(folder, "run_nsp_tiny_zh_512.yaml", *more))
        assert done.code == 0, done.stderr
        found[keep] = last_checkpoint(folder)
    first = last_checkpoint(run)
    assert [found[keep].state["updates_before"] for keep in (True, False)] == [12, 0]
    before, kept, fresh = (c.tensors("optimizer") for c in (first, found[True], found[False]))
    assert any(np.abs(value).max() > 0 for value in before.values())
    for name, value in kept.items():
        # This step's part of the running mean is that of a run without a state.
        decay = 0.9 if name.startswith("first") else 0.999
        np.testing.assert_allclose(value, decay * before[name] + fresh[name], rtol=1e-4, atol=1e-8)
    weights, expected = found[True].tensors("model"), first.tensors("model")
    for name, value in weights.items():
        np.testing.assert_allclose(value, expected[name], atol=1e-9)
    assert weights["bert.embeddings.position"].shape == (512, 32)
    # Rows behind the first phase's 32 have a gradient now, those behind the 48 of this one none.
    old, new = (state["first_moment.bert.embeddings.position"] for state in (before, kept))
    assert not old[32:].any() and new[32:48].any(axis=1).all() and not new[48:].any()


def test_heads_that_both_have_are_taken_over(command, words, run, tmp_path):
    more = (
        *("--run_mode=finetune", f"--load_checkpoint={run}", "--max_steps=1"),
        "--lr_schedule.learning_rate=1e-12",
    )
    folder = tmp_path / "masked"
    done = command.here(*words(folder, "run_bert_tiny_zh.yaml", *more))
    assert done.code == 0, done.stderr
    assert "is a BertForPreTraining: of its head, head.* is kept" in done.stderr
    ours, theirs = (last_checkpoint(path).tensors("model") for path in (folder, run))
    assert not any("seq_relationship" in name for name in ours)
    for name in ("head.dense.weight", "head.bias", "bert.layers.0.output.weight"):
        np.testing.assert_allclose(ours[name], theirs[name], atol=1e-9)


def page_commands() -> list[str]:
    page = (PROJECT / "docs" / "pretraining-recipes.md").read_text(encoding="utf-8")
    blocks = "".join(re.findall(r"^```bash\n(.*?)^```", page, re.MULTILINE | re.DOTALL))
    lines = [line.strip() for line in blocks.replace("\\\n", " ").splitlines()]
    return [line for line in lines if re.search(r"/run_(nsp|sop|macbert)_", line)]


@pytest.mark.parametrize("line", page_commands())
def test_the_commands_of_the_page_are_understood(command, tmp_path, monkeypatch, line):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").symlink_to(PROJECT / "configs")
    for name in ("text.txt", "vocab.txt", "vectors.txt", "pairs.mindrecord"):
        (tmp_path / name).write_text("[PAD]\n")
    for name in ("output/phase1", "bert-base-chinese"):
        (tmp_path / name).mkdir(parents=True)
    done = command.here(*shlex.split(line)[2:], "--dry_run")
    assert done.code == 0, done.stderr


def test_one_line_documents_are_refused(command, words, tmp_path):
    more = ("--train_dataset.data_loader.text_format=line",)
    done = command.here(*words(tmp_path / "out", "run_nsp_tiny_zh.yaml", *more))
    assert done.code == 2, done.stderr
    assert "text.txt: " in done.stderr and "text_format document" in done.stderr


@pytest.fixture(scope="module")
def build(command, documents, tmp_path_factory):
    """A function (flags) -> records of the documents."""

    def records(*flags):
        folder = tmp_path_factory.mktemp("records") / "rows"
        given = [
            *("--input_file", str(documents), "--output_file", str(folder)),
            *("--vocab_file", str(command.vocabulary), "--max_seq_length=32", "--num_workers=1"),
            *("--text_format=document", "--segmenter=none", *flags),
        ]
        assert build_dataset(given) == 0
        return folder

    return records


RECORDS = {
    "MindDataset": ("--dynamic", "--format=mindrecord", "--sentence_pairs=sop"),
    "TFRecordDataset": (
        *("--static", "--format=tfrecord", "--sentence_pairs=nsp"),
        *("--max_predictions_per_seq=5", "--dupe_factor=2"),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("loader", RECORDS)
def test_pairs_of_records_are_trained_on(command, words, build, tmp_path, loader):
    more = (
        f"--train_dataset.data_loader.type={loader}",
        f"--dataset_dir={build(*RECORDS[loader])}",
        *("--max_steps=40", "--lr_schedule.learning_rate=3e-3"),
    )
    folder = tmp_path / "out"
    done = command.here(*words(folder, "run_nsp_tiny_zh.yaml", *more))
    assert done.code == 0, done.stderr
    first, *_, last = (line for line in lines(folder) if "eval_loss" in line)
    assert last["eval_masked_lm_loss"] < first["eval_masked_lm_loss"] - 0.15
    assert last["eval_sentence_pair_loss"] != first["eval_sentence_pair_loss"]
    steps = [line for line in lines(folder) if "sentence_pair_accuracy" in line]
    assert len({line["sentence_pair_accuracy"] for line in steps}) > 2


def test_records_without_pairs_are_refused(command, words, build, tmp_path):
    more = (
        "--train_dataset.data_loader.type=TFRecordDataset",
        f"--dataset_dir={build('--static', '--format=tfrecord', '--max_predictions_per_seq=5')}",
    )
    done = command.here(*words(tmp_path / "out", "run_nsp_tiny_zh.yaml", *more))
    assert done.code == 2, done.stderr
    assert "are no pairs with next_sentence_labels" in done.stderr
