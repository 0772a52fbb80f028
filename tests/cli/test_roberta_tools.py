"""The tools on a RoBERTa's byte-level vocabulary."""

import json

import numpy as np
import pytest

from mindmlm.cli.build_dataset import main as build_dataset
from mindmlm.cli.build_vocab import main as build_vocab
from mindmlm.cli.main import main
from mindmlm.data.records.tfrecord import read_tfrecord
from mindmlm.tokenizers.roberta import RobertaTokenizer

SENTENCES = [
    "The old cat, it's said, sat on the mat.",
    "A naïve hat sits <mask> there.",
    "今天很好。",
]


@pytest.fixture
def folder(tmp_path):
    text = "\n".join(SENTENCES[n % 3] + ("\n" if n % 4 == 3 else "") for n in range(400))
    (tmp_path / "text.txt").write_text(text, encoding="utf-8")
    arguments = ["--input_file", tmp_path / "text.txt", "--output_file", tmp_path, "--algorithm"]
    arguments += ["bpe", "--tokenizer", "RobertaTokenizer", "--vocab_size", 300]
    assert build_vocab([*map(str, arguments)]) == 0
    return tmp_path


@pytest.fixture
def tokenizer(folder):
    return RobertaTokenizer.from_files(folder / "vocab.json", folder / "merges.txt")


def test_the_vocabulary_has_robertas_special_tokens(tokenizer):
    assert tokenizer.special_ids.tolist() == [0, 1, 2, 3, tokenizer.vocab_size - 1]
    assert tokenizer.decode(tokenizer.encode_ids(SENTENCES)[1]) == SENTENCES[1]


def test_special_tokens_belong_to_bpe(tmp_path, capsys):
    words = ["--input_file", "a.txt", "--output_file", str(tmp_path / "v")]
    assert build_vocab([*words, "--tokenizer", "RobertaTokenizer"]) == 2
    assert "add --algorithm bpe" in capsys.readouterr().err


def test_doctor_counts_its_tokens(folder, tokenizer, capsys):
    words = ["doctor", str(folder / "text.txt"), "--max_duplicate_share", "1", "--json"]
    named = ["--tokenizer", "RobertaTokenizer", "--vocab_file", str(folder / "vocab.json")]
    assert main([*words, *named]) == 0
    found = json.loads(capsys.readouterr().out)["unknown"]
    lines = (folder / "text.txt").read_text(encoding="utf-8").splitlines()
    assert found["tokens"] == sum(map(len, tokenizer.encode_ids(lines)))
    assert found["unknown"] == 0
    assert main([*words, *named, "--cased"]) == 2
    assert "--cased: RobertaTokenizer leaves text as it is" in capsys.readouterr().err
    assert main([*words, "--merges_file", str(folder / "merges.txt")]) == 2
    assert "BertTokenizer has no merges" in capsys.readouterr().err


def test_mask_report_masks_whole_words(folder, project_root, capsys):
    config = project_root / "configs" / "roberta" / "run_roberta_tiny.yaml"
    words = ["mask-report", str(config), "--dataset_dir", str(folder / "text.txt")]
    words += ["--vocab_file", str(folder / "vocab.json"), "--output_dir", str(folder / "out")]
    words += ["--options", "train_dataset.masking.strategy=whole_word"]
    assert main([*words, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["segmenter"] == "none" and report["mask_token"] == "<mask>"
    assert report["whole_word_share"] == 1.0 and report["rows_without_prediction"] == 0
    rows = [row["tokens"] for row in report["preview"]]
    assert all(row[0][0] == "<s>" and row[-1][0] == "</s>" for row in rows)
    for row in rows:
        begins = [token for token, _, _, begins in row[1:-1] if begins and token != "</s>"]
        assert sum(token.startswith(" ") for token in begins) > len(begins) / 3
        assert not any(chosen for token, _, chosen, _ in row if token in ("<s>", "</s>"))
    assert main(words) == 0
    assert "\n<mask> " in capsys.readouterr().out


@pytest.mark.parametrize("form", ["--static", "--dynamic"])
def test_records_for_it(folder, tokenizer, form):
    named = ["--tokenizer", "RobertaTokenizer", f"--vocab_file={folder / 'vocab.json'}"]
    words = [f"--input_file={folder / 'text.txt'}", f"--output_file={folder / 'a.tfrecord'}"]
    more = ["--max_seq_length=32", "--num_workers=1", "--dupe_factor=1", form]
    assert build_dataset([*words, *named, *more]) == 0
    ((_, columns),) = read_tfrecord(folder / "a.tfrecord")
    if form == "--dynamic":
        special = columns["tokens"].values[np.isin(columns["tokens"].values, tokenizer.special_ids)]
        ends = [tokenizer.cls_id, tokenizer.sep_id]
        assert special.tolist() == ends * len(columns["tokens"].lengths)
        return
    ids = columns["input_ids"].values.reshape(-1, 32)
    assert (ids[:, 0] == tokenizer.cls_id).all()
    assert ((ids == tokenizer.sep_id).sum(axis=1) == 1).all()
    assert (ids == tokenizer.mask_id).any() and (ids == tokenizer.pad_id).any()
    predicted = columns["masked_lm_weights"].values > 0
    labels = columns["masked_lm_ids"].values[predicted]
    assert len(labels) and not np.isin(labels, tokenizer.special_ids).any()
