"""Word ids from a reference file."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mindmlm.data.corpus_job import CorpusJob
from mindmlm.data.references import ReferenceLines, reference_starts
from mindmlm.data.sample_making import SampleSettings
from mindmlm.data.sources.cleaned import Cleaning, cleaned
from mindmlm.data.sources.files import FileSource
from mindmlm.data.sources.options import ReadOptions
from mindmlm.errors import DataError
from mindmlm.tokenizers.bert import SPECIAL_TOKENS, BertTokenizer

TOKENIZER = BertTokenizer([*SPECIAL_TOKENS, *"学习数据深度abc", "##b", "##c"])


def job(tmp_path: Path, text: str, references: str) -> CorpusJob:
    (tmp_path / "text.txt").write_text(text, encoding="utf-8")
    (tmp_path / "ref.txt").write_text(references, encoding="utf-8")
    options = SampleSettings(segmenter="reference_file", reference_file=str(tmp_path / "ref.txt"))
    source = FileSource.of_paths(tmp_path / "text.txt", options=ReadOptions())
    return CorpusJob(source, options, TOKENIZER, None, False)


def test_places_count_from_cls_and_pieces_always_continue():
    continuation = np.array([False, False, False, True, False])
    assert reference_starts(continuation, [2]).tolist() == [True, False, True, False, True]
    assert reference_starts(continuation, [1, 5]).tolist() == [True, True, True, False, False]
    assert reference_starts(continuation, [6]) is None
    assert reference_starts(continuation, [0]) is None


def test_words_of_a_text_come_from_the_file(tmp_path):
    lines = ["学习数据", "深度 ab", "数据"]
    places = [[2, 4], [2], []]
    built = job(tmp_path, "\n\n".join(lines) + "\n", "\n".join(map(json.dumps, places)) + "\n")
    store, report = built.prepare(tmp_path / "cache")
    _, starts, lengths = store.gather(np.arange(3), 6)
    assert [row[:n].tolist() for row, n in zip(starts, lengths, strict=True)] == [
        [True, False, True, False],
        [True, False, True, False],
        [True, True],
    ]
    assert (report.segmented_lines, report.fallback_lines) == (3, 0)


def test_a_place_beyond_the_line_falls_back(tmp_path):
    _, report = job(tmp_path, "学习\n数据\n", "[9]\n[2]\n").prepare(tmp_path / "cache")
    assert (report.segmented_lines, report.fallback_lines) == (2, 1)


@pytest.mark.parametrize(
    ("references", "message"),
    [
        ("[2]\n", r"ref\.txt: ends after line 1, but the text has more lines"),
        ("[2]\n[2]\n[2]\n", r"ref\.txt:3: the text has only 2 lines"),
        ("[2]\n2 3\n", r"ref\.txt:2: expected a JSON list of token places"),
        ('[2]\n["a"]\n', r"ref\.txt:2: expected a JSON list of token places"),
    ],
)
def test_a_file_of_another_text_is_refused(tmp_path, references, message):
    with pytest.raises(DataError, match=message):
        job(tmp_path, "学习\n数据\n", references).prepare(tmp_path / "cache")


def test_a_missing_file_is_named(tmp_path):
    built = job(tmp_path, "学习\n数据\n", "[]\n")
    (tmp_path / "ref.txt").unlink()
    with pytest.raises(DataError, match=r"ref\.txt: cannot be read"):
        built.prepare(tmp_path / "cache")


def test_another_file_makes_another_cache(tmp_path):
    one = job(tmp_path, "学习\n数据\n", "[2]\n[2]\n").prepare(tmp_path / "cache")[0]
    other = job(tmp_path, "学习\n数据\n", "[]\n[2]\n").prepare(tmp_path / "cache")[0]
    assert one.fingerprint != other.fingerprint


def test_lines_are_taken_one_after_the_other(tmp_path):
    (tmp_path / "ref.txt").write_text("[1]\n[2, 3]\n[]\n")
    lines = ReferenceLines(tmp_path / "ref.txt")
    assert lines.take(2) == [[1], [2, 3]]
    assert lines.take(1) == [[]]
    lines.expect_end()


def test_lines_pair_with_those_after_cleaning_as_the_page_shows(tmp_path, project_root):
    page = (project_root / "docs" / "masking.md").read_text(encoding="utf-8")
    shown = page[page.index("The **reference file**") :]
    text, references = re.findall(r"^```\n(.*?)^```", shown, re.MULTILINE | re.DOTALL)[:2]
    tokenizer = BertTokenizer([*SPECIAL_TOKENS, *"我爱北京你呢年。?", "2024"])
    plain = job(tmp_path, text, references)
    cleaning = Cleaning(("full_width", "sentences"))
    built = replace(plain, source=cleaned(plain.source, cleaning), tokenizer=tokenizer)
    store, report = built.prepare(tmp_path / "cache")
    tokens, starts, lengths = store.gather(np.arange(store.num_samples), 8)
    words = [
        [tokenizer.vocab[token] for token in row[:length]]
        for row, length in zip(tokens, lengths, strict=True)
    ]
    assert words == [list("我爱北京。"), list("你呢?"), ["2024", "年"]]
    assert starts[0, :5].tolist() == [True, True, True, False, True]
    assert starts[1:].all()
    assert report.segmented_lines == 3
    with pytest.raises(DataError, match="ends after line 2"):
        replace(built, settings=job(tmp_path, text, "[4]\n[]\n").settings).prepare(tmp_path / "b")
