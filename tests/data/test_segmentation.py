import os
import subprocess
import sys
import unicodedata
from pathlib import Path

import jieba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mindmlm.data.segmentation import (
    JiebaSplitter,
    align_words,
    load_splitter,
    piece_groups,
    word_starts,
)
from mindmlm.tokenizers.bert import SPECIAL_TOKENS, BertTokenizer


@pytest.fixture(scope="module")
def jieba_splitter() -> JiebaSplitter:
    return JiebaSplitter()


def tokenizer_for(text: str, *pieces: str) -> BertTokenizer:
    characters = sorted(set(text.lower()) - {" "})
    tokens = [*characters, *("##" + c for c in characters), *pieces]
    return BertTokenizer([*SPECIAL_TOKENS, *dict.fromkeys(tokens)])


def grouped(text: str, splitter: JiebaSplitter | None, *pieces: str) -> tuple[list[str], bool]:
    tokenizer = tokenizer_for(text, *pieces)
    encoded = tokenizer.encode_batch([text])[0]
    continuation = tokenizer.is_continuation[encoded.ids]
    aligned = (
        word_starts(text, encoded.offsets, continuation, splitter)
        if splitter
        else piece_groups(continuation)
    )
    starts = np.ones(len(encoded.ids), np.bool_) if aligned is None else aligned
    groups: list[str] = []
    for token_id, begins in zip(encoded.ids, starts, strict=True):
        token = tokenizer.id_to_token(token_id)
        groups = [*groups, token] if begins else [*groups[:-1], groups[-1] + "+" + token]
    return groups, aligned is None


def test_chinese_words(jieba_splitter: JiebaSplitter) -> None:
    groups, fell_back = grouped("学校改变教育。", jieba_splitter)
    assert groups == ["学+校", "改+变", "教+育", "。"]
    assert not fell_back


def test_mixed_text_groups_pieces_and_words(jieba_splitter: JiebaSplitter) -> None:
    groups, fell_back = grouped("学生使用 learning 系统，T恤", jieba_splitter, "learn", "##ing")
    assert groups == ["学+生", "使+用", "learn+##ing", "系+统", "，", "t+恤"]
    assert not fell_back


def test_pieces_are_grouped_without_segmenter() -> None:
    groups, fell_back = grouped("学习 learning's", None, "learn", "##ing")
    assert groups == ["学", "习", "learn+##ing", "'", "s"]
    assert not fell_back


@pytest.mark.parametrize(
    "text", ["Café ÅNGSTRÖM naïve", "русский язык", "ﬁne ＡＢ１２", "日本語のテキスト", "한국어"]
)
def test_other_scripts_need_no_fallback(jieba_splitter: JiebaSplitter, text: str) -> None:
    stripped = "".join(
        c for c in unicodedata.normalize("NFD", text.lower()) if unicodedata.category(c) != "Mn"
    )
    tokenizer = tokenizer_for(stripped)
    encoded = tokenizer.encode_batch([text])[0]
    continuation = tokenizer.is_continuation[encoded.ids]
    starts = word_starts(text, encoded.offsets, continuation, jieba_splitter)
    assert starts is not None
    assert not (starts & continuation).any()


def test_a_token_over_a_word_border_falls_back(jieba_splitter: JiebaSplitter) -> None:
    text = "穿adT恤"
    assert any(start == 3 for start in jieba_splitter(text))
    groups, fell_back = grouped(text, jieba_splitter, "adt")
    assert fell_back
    assert groups == ["穿", "adt", "恤"]


def has_token_over_a_word_border(offsets: list[list[int]], words: list[int]) -> bool:
    return any(start < border < end for start, end in offsets for border in words)


ALPHABET = "学习数据深度的了是 ab，。T恤3.%Cé\u0301😀\u200b\u0000\u3000ＡДのñ-"


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from(ALPHABET), max_size=25))
def test_words_by_offsets_of_the_original_text(jieba_splitter: JiebaSplitter, text: str) -> None:
    characters = sorted(set("学习数据深度的了是ab，。t恤3.%ce😀ａдのn-"))
    tokenizer = BertTokenizer([*SPECIAL_TOKENS, *characters, *("##" + c for c in characters)])
    encoded = tokenizer.encode_batch([text])[0]
    continuation = tokenizer.is_continuation[encoded.ids]
    starts = word_starts(text, encoded.offsets, continuation, jieba_splitter)
    if starts is None:
        assert has_token_over_a_word_border(encoded.offsets.tolist(), jieba_splitter(text))
        return
    assert len(starts) == len(encoded.ids)
    assert not (starts & continuation)[1:].any()
    word_offsets = jieba_splitter(text)
    word = [max(w for w in word_offsets if w <= start) for start, _ in encoded.offsets.tolist()]
    for number in range(1, len(word)):
        if not continuation[number]:
            assert starts[number] == (word[number] != word[number - 1])


def test_jieba_offsets_cover_real_text(shared_data: Path, jieba_splitter: JiebaSplitter) -> None:
    tokenizer = BertTokenizer.from_vocab_file(shared_data / "bert-base-chinese-vocab.txt")
    lines = (shared_data / "zh-wiki.txt").read_text(encoding="utf-8").split("\n")[:80]
    fallbacks = 0
    for line, encoded in zip(lines, tokenizer.encode_batch(lines), strict=True):
        continuation = tokenizer.is_continuation[encoded.ids]
        starts = word_starts(line, encoded.offsets, continuation, jieba_splitter)
        if starts is None:
            fallbacks += 1
            continue
        begins = set(encoded.offsets[starts, 0].tolist())
        covered = set(encoded.offsets[:, 0].tolist())
        for word, start, end in jieba.tokenize(line):
            inside = [place for place in range(start, end) if place in covered]
            assert not set(inside[1:]) & begins, word
            if inside and "一" <= word[0] <= "鿿":
                assert inside[0] in begins, word
    assert fallbacks <= 2


def test_align_words_detects_straddling() -> None:
    offsets = np.array([[0, 2], [2, 4]])
    assert align_words(offsets, np.array([0, 2]), 4).tolist() == [True, True]
    assert align_words(offsets, np.array([0]), 4).tolist() == [True, False]
    assert align_words(offsets, np.array([0, 3]), 4) is None


def test_jieba_is_lazy_silent_and_writes_no_cache(tmp_path: Path) -> None:
    code = (
        "import sys; import mindmlm.data.prepare; assert 'jieba' not in sys.modules\n"
        "from mindmlm.data.segmentation import load_splitter\n"
        "assert load_splitter('none') is None and 'jieba' not in sys.modules\n"
        "assert load_splitter('jieba')('我们学习') == [0, 2]\n"
        "assert 'mindspore' not in sys.modules\n"
    )
    run = subprocess.run(
        [sys.executable, "-W", "default", "-c", code],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
    assert not list(tmp_path.iterdir())


def test_unknown_segmenter() -> None:
    with pytest.raises(ValueError, match="jieba and none"):
        load_splitter("ltp")
