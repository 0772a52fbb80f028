"""The commands of docs/prepared-data.md on real text: every source and every strategy."""

import gzip
import io
import json
import random
import re
import shlex
import sqlite3
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jieba
import numpy as np
import pyarrow as pa
import pytest
import zstandard
from pyarrow import parquet

from mindmlm.cli.build_dataset import main
from mindmlm.data.records.files import record_files
from mindmlm.data.records.manifest import verified_manifest
from mindmlm.data.records.mindrecord import read_mindrecord
from mindmlm.data.records.tfrecord import read_tfrecord
from mindmlm.data.sources.cleaning import STEPS
from mindmlm.data.vocabulary import save_tokenizer
from mindmlm.testing.places import Text
from mindmlm.tokenizers.bert import BertTokenizer
from mindmlm.tokenizers.byte_level_bpe import END_OF_TEXT, train_byte_level_bpe
from mindmlm.tokenizers.gpt2 import GPT2Tokenizer

TOOL = "python tools/build_dataset.py "
TERM = "孩子"
PROJECT = Path(__file__).resolve().parents[2]


def commands() -> dict[str, str]:
    """Return the commands that run the tool, by their output."""
    page = (PROJECT / "docs" / "prepared-data.md").read_text(encoding="utf-8")
    blocks = "".join(re.findall(r"^```bash\n(.*?)^```", page, re.MULTILINE | re.DOTALL))
    lines = [line.strip() for line in blocks.replace("\\\n", " ").splitlines()]
    found = [line for line in lines if TOOL in line]
    return {re.findall(r"--output_file[= ](\S+)", line)[0]: line for line in found}


COMMANDS = commands()


@pytest.fixture(scope="module")
def folder(text: Text, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that the commands name, all of the real text."""
    folder = tmp_path_factory.mktemp("documented")
    lines, plain = text.lines, text.plain.read_bytes()
    (folder / "vocab.txt").write_bytes(text.vocabulary.read_bytes())
    spaced = "".join(f"{line}\n" + "\n" * (n % 6 == 5) for n, line in enumerate(lines))
    (folder / "raw.txt").write_text(spaced, encoding="utf-8")
    for name in ("news", "more"):
        (folder / name).mkdir()
        (folder / name / "a.txt").write_bytes(plain)
    rows = [{"title": f"<b>标题</b> {n}", "body": line} for n, line in enumerate(lines)]
    packed = "".join(json.dumps(row) + "\n" for row in rows).encode()
    (folder / "news.jsonl.gz").write_bytes(gzip.compress(packed))
    table = "number,body\n" + "".join(
        f'{n},"{line.replace(chr(34), chr(34) * 2)}"\n' for n, line in enumerate(lines)
    )
    (folder / "news.csv.zst").write_bytes(zstandard.compress(table.encode()))
    parquet.write_table(pa.table({"body": lines}), folder / "news.parquet")
    (folder / "news.txt.gz").write_bytes(gzip.compress(plain))
    with sqlite3.connect(folder / "news.db") as database:
        database.execute("CREATE TABLE articles (id INTEGER, language TEXT, body TEXT)")
        values = [(n, "zh" if n % 2 else "en", line) for n, line in enumerate(lines)]
        database.executemany("INSERT INTO articles VALUES (?, ?, ?)", values)
    database.close()
    (folder / "terms.txt").write_text(f"{TERM}\n", encoding="utf-8")
    write_vectors(folder, lines)
    return folder


def write_vectors(folder: Path, lines: list[str]) -> None:
    words = dict.fromkeys(word for line in lines for word in jieba.cut(line) if len(word) < 4)
    rng = random.Random(1)
    names = [word for word in words if not word.isspace()]
    vectors = [" ".join([word, *(f"{rng.gauss(0, 1):.3f}" for _ in range(8))]) for word in names]
    (folder / "vectors.txt").write_text("\n".join(vectors) + "\n", encoding="utf-8")
    (folder / "antonyms.txt").write_text(f"{names[0]} {names[1]}\n", encoding="utf-8")


def run(output: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Run a documented command and return the record files, their manifests verified."""
    monkeypatch.chdir(folder)
    pipe, _, line = COMMANDS[output].rpartition(TOOL)
    if pipe:
        assert pipe == "zcat news.txt.gz | "
        data = gzip.decompress((folder / "news.txt.gz").read_bytes())
        stream = SimpleNamespace(buffer=io.BytesIO(data), closed=False, isatty=lambda: False)
        monkeypatch.setattr("sys.stdin", stream)
    assert main(shlex.split(line)) == 0
    kind = "MindDataset" if "mindrecord" in line else "TFRecordDataset"
    files = record_files(output, kind)
    assert files
    for file in files:
        assert verified_manifest(file) is not None
    return files


def columns_of(files: list[Path]) -> dict[str, list[np.ndarray]]:
    found: dict[str, list[np.ndarray]] = {}
    for file in files:
        read = read_mindrecord if file.name.endswith("mindrecord") else read_tfrecord
        for _, columns in read(file):
            for name, column in columns.items():
                found.setdefault(name, []).extend(column.split())
    return found


def words_of(tokenizer: BertTokenizer, rows: list[np.ndarray]) -> list[str]:
    tokens = tokenizer.vocab
    return ["".join(tokens[n].removeprefix("##") for n in row[1:-1]) for row in rows]


def text_without_spaces(lines: list[str]) -> str:
    return "".join("".join(line.split()).lower() for line in lines)


SOURCES = [name for name in COMMANDS if name.startswith("records/")]


@pytest.mark.parametrize("output", SOURCES)
def test_every_source(
    output: str, folder: Path, text: Text, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = run(output, folder, monkeypatch)
    rows = columns_of(files)
    tokenizer = BertTokenizer.from_vocab_file(text.vocabulary, True)
    documents = sum(manifest.documents for file in files if (manifest := verified_manifest(file)))
    chosen = {"records/table": text.lines[1::2], "records/half0": text.lines[::2],
              "records/half1": text.lines[1::2], "records/files": text.lines * 2}  # fmt: skip
    lines = chosen.get(output, text.lines)
    if output == "records/jsonl":
        assert documents == len(lines)
        shown = "".join(words_of(tokenizer, rows["tokens"]))
        assert shown.count("标题") == len(lines)
        assert "<b>" not in shown
        lines = [STEPS["nfkc"](line) for line in lines]
    letters = sorted("".join(words_of(tokenizer, rows["tokens"])))
    if output != "records/jsonl":
        assert letters == sorted(text_without_spaces(tokenizer_text(tokenizer, lines)))
    assert any(not start for row in rows["word_starts"] for start in row)


def tokenizer_text(tokenizer: BertTokenizer, lines: list[str]) -> list[str]:
    """Return the lines as the tokenizer sees them, [UNK] written out."""
    tokens = tokenizer.vocab
    return [
        "".join(tokens[n].removeprefix("##") for n in ids) for ids in tokenizer.encode_ids(lines)
    ]


def test_both_halves_are_the_whole(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for output in ("records/half0", "records/half1"):
        if not (folder / output).exists():
            run(output, folder, monkeypatch)
    monkeypatch.chdir(folder)
    assert len(record_files("records/half*/part-*", "TFRecordDataset")) == 2


STRATEGIES = [name for name in COMMANDS if name.startswith(("masked/", "pre_data"))]


@pytest.mark.parametrize("output", STRATEGIES)
def test_every_strategy(
    output: str, folder: Path, text: Text, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = {
        name: np.stack(values)
        for name, values in columns_of(run(output, folder, monkeypatch)).items()
    }
    tokenizer = BertTokenizer.from_vocab_file(text.vocabulary, True)
    ids, positions = rows["input_ids"], rows["masked_lm_positions"]
    chosen = rows["masked_lm_weights"] > 0
    number = np.nonzero(chosen)[0]
    original = ids.copy()
    original[number, positions[chosen]] = rows["masked_lm_ids"][chosen]
    inside = rows["input_mask"] > 0
    special = np.isin(original, tokenizer.special_ids)
    assert not special[number, positions[chosen]].any()
    assert (ids == original)[~mark(ids.shape, number, positions[chosen])].all()
    whole = "".join(
        words_of(tokenizer, [row[keep] for row, keep in zip(original, inside, strict=True)])
    )
    assert TERM in whole
    seen = ids[number, positions[chosen]]
    share = chosen.sum() / (inside & ~special).sum()
    assert 0.1 < share < 0.2
    masked = float((seen == tokenizer.mask_id).mean())
    kept = float((seen == rows["masked_lm_ids"][chosen]).mean())
    if output == "masked/macbert.tfrecord":
        assert masked == 0
        assert 0.07 < kept < 0.2
    else:
        assert 0.74 < masked < 0.86
        assert 0.06 < kept < 0.15
    check = CHECKS.get(Path(output).stem)
    if check:
        check(tokenizer, original, ids, mark(ids.shape, number, positions[chosen]))


def test_blocks_for_gpt2(folder: Path, text: Text, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = GPT2Tokenizer.of_bpe(train_byte_level_bpe(text.lines, 400))
    save_tokenizer(tokenizer, folder / "gpt2")
    rows = columns_of(run("blocks/news.mindrecord", folder, monkeypatch))["input_ids"]
    assert {len(row) for row in rows[:-1]} == {1025}
    whole = tokenizer.decode(token for row in rows for token in row[1:].tolist())
    assert whole.removesuffix(END_OF_TEXT) == "\n".join(text.lines)


def mark(shape: tuple[int, ...], row: np.ndarray, column: np.ndarray) -> np.ndarray:
    marks = np.zeros(shape, np.bool_)
    marks[row, column] = True
    return marks


def term_places(tokenizer: BertTokenizer, original: np.ndarray) -> np.ndarray:
    first, second = tokenizer.encode_ids([TERM])[0]
    return (original[:, :-1] == first) & (original[:, 1:] == second)


def terms_are_whole(
    tokenizer: Any, original: np.ndarray, ids: np.ndarray, marks: np.ndarray
) -> None:
    here = term_places(tokenizer, original)
    assert here.sum() > 100
    assert (marks[:, :-1][here] == marks[:, 1:][here]).all()


def terms_are_preferred(
    tokenizer: Any, original: np.ndarray, ids: np.ndarray, marks: np.ndarray
) -> None:
    terms_are_whole(tokenizer, original, ids, marks)
    assert marks[:, :-1][term_places(tokenizer, original)].mean() > 0.4


def words_share_a_draw(
    tokenizer: Any, original: np.ndarray, ids: np.ndarray, marks: np.ndarray
) -> None:
    terms_are_whole(tokenizer, original, ids, marks)
    here = term_places(tokenizer, original) & marks[:, :-1]
    hidden = ids == tokenizer.mask_id
    assert (hidden[:, :-1][here] == hidden[:, 1:][here]).all()
    assert marks[:, :-1][term_places(tokenizer, original)].mean() < 0.4


def neighbours_are_chosen(
    tokenizer: Any, original: np.ndarray, ids: np.ndarray, marks: np.ndarray
) -> None:
    # Of tokens by themselves 15 % have a chosen neighbour.
    assert marks[:, 1:][marks[:, :-1]].mean() > 0.4


CHECKS = {
    "words": words_share_a_draw,
    "terms": terms_are_preferred,
    "span": neighbours_are_chosen,
    "token_span": neighbours_are_chosen,
    "ngram": neighbours_are_chosen,
    "macbert": neighbours_are_chosen,
}


def test_the_page_shows_everything() -> None:
    page = " ".join(COMMANDS.values())
    for word in ("token", "whole_word", "span", "token_span", "ngram", "macbert", "mixture"):
        assert f"--strategy={word}" in page
    for word in ("jsonl.gz", "csv.zst", "parquet", "news/", "*.txt", "=- ", "--url", "--part"):
        assert word in page
