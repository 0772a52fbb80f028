"""`python -m mindmlm mask-report`."""

import json
from pathlib import Path

import numpy as np
import pytest

from mindmlm.cli.main import main
from mindmlm.data.mask_report import MaskCounts
from mindmlm.data.masking import MaskedBatch, TokenBatch, VocabularyInfo
from mindmlm.tokenizers.bert import SPECIAL_TOKENS, BertTokenizer

TOKENIZER = BertTokenizer([*SPECIAL_TOKENS, *"abcdefgh"])


def test_counts_of_a_row_made_by_hand():
    ids = np.array([[2, 5, 6, 7, 1, 8, 9, 3, 0]], np.int32)
    starts = np.array([[1, 1, 0, 1, 1, 1, 0, 1, 1]], np.bool_)
    tokens = TokenBatch(ids, starts, np.array([8]))
    after = ids.copy()
    after[0, [1, 2, 5]] = [4, 12, 8]
    batch = MaskedBatch(
        input_ids=after,
        input_mask=(ids > 0).astype(np.int32),
        segment_ids=np.zeros_like(ids),
        masked_lm_positions=np.array([[1, 2, 5, 0]], np.int32),
        masked_lm_ids=np.array([[5, 6, 8, 0]], np.int32),
        masked_lm_weights=np.array([[1, 1, 1, 0]], np.float32),
        sample_ids=np.array([0]),
    )
    counts = MaskCounts()
    terms = np.zeros(ids.shape, np.bool_)
    terms[0, 5:7] = True
    counts.add(tokens, batch, VocabularyInfo.from_tokenizer(TOKENIZER), terms)
    report = counts.to_dict()
    assert (report["tokens"], report["ordinary_tokens"], report["predicted"]) == (8, 5, 3)
    assert (report["mask"], report["changed"], report["unchanged"]) == (1, 1, 1)
    assert report["rate"] == 3 / 8
    assert report["predictions_filled"] == 3 / 4
    assert report["whole_word_share"] == 1 / 2
    assert report["term_rate"] == 1 / 2
    assert report["by_word_length"] == [
        {"tokens": 1, "and_more": False, "words": 1, "predicted_whole": 0, "predicted_in_part": 0,
         "rate": 0.0},
        {"tokens": 2, "and_more": False, "words": 2, "predicted_whole": 1, "predicted_in_part": 1,
         "rate": 0.75},
    ]  # fmt: skip


@pytest.fixture
def run(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    words = ["学习", "数据", "模型", "的", "很好", "深度学习"]
    lines = ["".join(rng.choice(words, 30)) + "。" for _ in range(200)]
    (tmp_path / "text.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (tmp_path / "terms.txt").write_text("深度学习\n", encoding="utf-8")
    (tmp_path / "run.yaml").write_text(
        "train_dataset: {max_seq_length: 64}\nprocessor: {segmenter: jieba}\n"
    )

    def call(*arguments: str) -> str:
        code = main(["mask-report", "run.yaml", "--dataset_dir", "text.txt", *arguments])
        captured = capsys.readouterr()
        assert code == 0, captured.err
        return captured.out

    return call


def test_a_report_for_programs(run):
    report = json.loads(run("--json", "--preview", "2"))
    assert report["strategy"] == "whole_word"
    assert report["rows"] == report["samples_in_text"]
    assert 0.1 < report["rate"] <= 0.16
    assert report["whole_word_share"] == 1.0
    assert (report["segmented_lines"], report["fallback_lines"]) == (200, 0)
    assert report["mask"] + report["changed"] + report["unchanged"] == report["predicted"]
    assert abs(report["mask_share"] - 0.8) < 0.05
    sample = report["preview"][1]["tokens"]
    assert sample[0] == ["[CLS]", "[CLS]", False, True]
    assert any(chosen for _, _, chosen, _ in sample)
    assert len(report["preview"]) == 2


def test_a_report_for_people(run):
    text = run("--samples", "50", "--preview", "1")
    assert text.startswith("strategy whole_word, segmenter jieba, masked_lm_prob 0.15\n50 rows of ")
    assert "word length      words" in text
    assert "->[MASK]}" in text
    assert "\x1b" not in text


def test_a_terminal_shows_colours(run, monkeypatch):
    plain = run("--samples", "50", "--preview", "1")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    coloured = run("--samples", "50", "--preview", "1")
    assert "\x1b[41m" in coloured
    assert coloured.count("\x1b[0m") == plain.count("{")
    monkeypatch.setenv("NO_COLOR", "1")
    assert run("--samples", "50", "--preview", "1") == plain


def test_terms_are_predicted_more_often(run):
    options = ["train_dataset.masking.term_file=terms.txt", "train_dataset.masking.term_weight=20"]
    report = json.loads(run("--json", "--options", *options))
    assert report["term_rate"] > 1.5 * report["rate"]


def test_a_step_of_a_schedule(run):
    options = ["train_dataset.masking.masked_lm_prob_end=0.4",
               "train_dataset.masking.masked_lm_prob_steps=10"]  # fmt: skip
    report = json.loads(run("--json", "--step", "10", "--options", *options))
    assert report["masked_lm_prob"] == pytest.approx(0.4)
    assert report["rate"] > 0.35


def test_a_run_that_masks_nothing_is_refused(project_root, capsys):
    config = project_root / "configs" / "gpt2" / "run_gpt2_tiny.yaml"
    assert main(["mask-report", str(config), "--dataset_dir", str(config)]) == 2
    assert "CausalLanguageModelingTrainer masks nothing" in capsys.readouterr().err


def test_faults_are_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.yaml").write_text("seed: 1\n")
    assert main(["mask-report", "run.yaml"]) == 2
    assert "needs a text; add --dataset_dir" in capsys.readouterr().err
    assert main(["mask-report", "run.yaml", "--samples", "0"]) == 2
    assert "--samples must be at least 1" in capsys.readouterr().err


def test_pairs_are_reported_too(run, tmp_path):
    pairs = (
        *("--options", "train_dataset.sentence_pairs=nsp", "model.arch.type=BertForPreTraining"),
        "train_dataset.data_loader.text_format=document",
    )
    lines = (tmp_path / "text.txt").read_text(encoding="utf-8").splitlines()
    short = [line[n : n + 9] for line in lines for n in (0, 9, 18)]
    text = "".join(f"{line}\n" + "\n" * (n % 6 == 5) for n, line in enumerate(short))
    (tmp_path / "text.txt").write_text(text, encoding="utf-8")
    report = json.loads(run("--json", *pairs))
    assert report["rate"] == pytest.approx(0.15, abs=0.01)
    # [CLS] A [SEP] B [SEP]: three tokens of a row are special.
    assert report["tokens"] - report["ordinary_tokens"] == 3 * report["rows"]
