"""tools/train_word_vectors.py from the text to masks of strategy macbert."""

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mindmlm.cli.train_word_vectors import main
from mindmlm.config import load_config
from mindmlm.data.segmentation import SegmenterOptions
from mindmlm.data.sources import optional
from mindmlm.data.word_vectors import word_divider

SMALL = ("--vector_size=16", "--epochs=2", "--min_count=2")


@pytest.fixture(scope="module")
def sample(project_root) -> Path:
    return project_root / "mindmlm" / "resources" / "sample_zh.txt"


def train(text: Path | str, output: Path, *flags: str) -> Path:
    assert main([f"--input_file={text}", f"--output_file={output}", *SMALL, *flags]) == 0
    return output


def read(path: Path) -> tuple[list[str], np.ndarray]:
    header, *lines = path.read_text(encoding="utf-8").splitlines()
    rows = [line.split(" ") for line in lines]
    vectors = np.array([row[1:] for row in rows], np.float64)
    assert [int(number) for number in header.split()] == list(vectors.shape)
    return [row[0] for row in rows], vectors


def test_the_same_text_gives_the_same_file_whatever_the_hash_seed(
    sample, tmp_path, project_root, capsys
):
    here = train(sample, tmp_path / "here.txt")
    printed = capsys.readouterr()
    assert printed.out.strip() == str(here)
    assert "documents" in printed.err
    tool = [sys.executable, str(project_root / "tools" / "train_word_vectors.py")]
    other = tmp_path / "other.txt"
    subprocess.run(
        [*tool, f"--input_file={sample}", f"--output_file={other}", *SMALL],
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "77", "PYTHONPATH": str(project_root)},
        capture_output=True,
    )
    assert here.read_bytes() == other.read_bytes()
    seeded = train(sample, tmp_path / "seeded.txt", "--seed=1")
    assert read(seeded)[0] == read(here)[0]
    assert not np.allclose(read(seeded)[1], read(here)[1])


def test_words_that_are_used_alike_lie_together(tmp_path):
    generator = np.random.default_rng(3)
    groups = [["红色", "蓝色", "绿色"], ["苹果", "香蕉", "葡萄"], ["昨天", "今天", "明天"]]
    lines = []
    for _ in range(3000):
        colour, fruit, day = (group[generator.integers(3)] for group in groups)
        lines.append(f"{day} 我 买 了 {colour} 的 {fruit} 。")
    (tmp_path / "text.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    output = tmp_path / "vectors.txt"
    train(tmp_path / "text.txt", output, "--segmenter=presegmented", "--epochs=8", "--window=3")
    words, vectors = read(output)
    assert set(words) == {*"我买了的。", *(word for group in groups for word in group)}
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    for group in groups:
        places = [words.index(word) for word in group]
        others = [place for place in range(len(words)) if place not in places]
        cosines = vectors[places] @ vectors.T
        assert cosines[:, places].min() > cosines[:, others].max()


def test_masking_with_the_trained_vectors(sample, tmp_path, capsys):
    from mindmlm.cli.build_vocab import main as build_vocab
    from mindmlm.cli.main import main as mindmlm

    vocab, antonyms = tmp_path / "vocab.txt", tmp_path / "antonyms.txt"
    size = "--vocab_size=4000"
    assert build_vocab([f"--input_file={sample}", f"--output_file={vocab}", size]) == 0
    antonyms.write_text("学生 老师\n", encoding="utf-8")
    flags = (f"--vocab_file={vocab}", f"--antonym_file={antonyms}")
    vectors = train(sample, tmp_path / "vectors.txt", *flags)
    assert "have a similar one of as many pieces" in capsys.readouterr().err
    options = [
        "train_dataset.masking.strategy=macbert",
        f"train_dataset.masking.similar_words.file={vectors}",
        f"train_dataset.masking.similar_words.antonym_file={antonyms}",
        f"processor.tokenizer.vocab_file={vocab}",
        f"train_dataset.data_loader.dataset_dir={sample}",
        f"output_dir={tmp_path / 'output'}",
    ]
    config = tmp_path / "run.yaml"
    config.write_text("seed: 3\n", encoding="utf-8")
    assert load_config(config, options).config.train_dataset.masking.strategy == "macbert"
    command = ["mask-report", str(config), "--json", "--samples", "64", "--options", *options]
    assert mindmlm(command) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["strategy"] == "macbert"
    assert report["mask"] == 0
    # 80 % similar words and 10 % random ones.
    assert report["changed_share"] > 0.8


def test_records_and_words_as_training_reads_them(tmp_path):
    records = tmp_path / "news.jsonl.gz"
    with gzip.open(records, "wt", encoding="utf-8") as file:
        for _ in range(30):
            file.write(json.dumps({"body": "深度学习 Modèle 很 好"}) + "\n")
    (tmp_path / "words.txt").write_text("深度学习 99999\n", encoding="utf-8")
    output = tmp_path / "vectors.txt"
    words = f"--user_dict={tmp_path / 'words.txt'}"
    train(records, output, "--text_field", "body", words)
    assert set(read(output)[0]) == {"深度学习", "modele", "很", "好"}
    train(records, output, "--text_field", "body", words, "--do_lower_case=False")
    assert "Modèle" in read(output)[0]
    train(records, output, "--text_field", "body", "--max_words=2")
    assert len(read(output)[0]) <= 2


def test_without_a_segmenter_words_are_those_of_bert():
    divide = word_divider("none", SegmenterOptions(), do_lower_case=True)
    assert divide("我们 Like, it") == ["我", "们", "like", ",", "it"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "--input_file is missing"),
        (["--input_file=here.txt", "--url=sqlite:///x"], "exclude each other"),
        (["--input_file=here.txt", "--antonym_file=a"], "--antonym_file: needs --vocab_file"),
        (["--input_file=here.txt", "--min_count=9"], "0 words of the text occur at least 9 times"),
        (["--input_file=nowhere.txt"], "nowhere.txt"),
        (
            ["--input_file=here.txt", "--segmenter=reference_file", "--reference_file=here.txt"],
            "",
        ),
    ],
)
def test_mistakes_are_one_message(tmp_path, monkeypatch, capsys, flags, message):
    monkeypatch.chdir(tmp_path)
    Path("here.txt").write_text("一句话\n", encoding="utf-8")
    try:
        code = main([*flags, "--output_file=vectors.txt"])
    except SystemExit as stopped:  # argparse knows no --reference_file
        code = stopped.code
    assert code
    assert message in capsys.readouterr().err
    assert not Path("vectors.txt").exists()


def test_without_gensim_the_extra_is_named(tmp_path, monkeypatch, capsys):
    def missing(name: str):
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(optional, "import_module", missing)
    (tmp_path / "here.txt").write_text("一句话\n", encoding="utf-8")
    flags = [f"--input_file={tmp_path / 'here.txt'}", f"--output_file={tmp_path / 'v.txt'}"]
    assert main(flags) == 2
    assert "pip install 'mindmlm[vectors]'" in capsys.readouterr().err
