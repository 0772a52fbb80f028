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
    SegmenterOptions,
    align_words,
    load_splitter,
    piece_groups,
    word_starts,
)
from mindmlm.errors import DataError
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
    with pytest.raises(ValueError, match="jieba, rjieba, presegmented"):
        load_splitter("ltp")


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from(ALPHABET + "小明硕士毕业于杭研大厦中国科学院计算所"), max_size=40))
def test_words_are_exactly_those_of_jieba(jieba_splitter: JiebaSplitter, text: str) -> None:
    assert list(jieba_splitter.words(text)) == jieba.lcut(text)


@pytest.mark.parametrize("hmm", [True, False])
def test_words_of_real_text_are_exactly_those_of_jieba(shared_data: Path, hmm: bool) -> None:
    splitter = JiebaSplitter(hmm=hmm)
    for line in (shared_data / "zh-wiki.txt").read_text(encoding="utf-8").split("\n")[:60]:
        assert list(splitter.words(line)) == jieba.lcut(line, HMM=hmm)


@pytest.mark.parametrize("segmenter", ["jieba", "rjieba"])
def test_user_dictionary_and_hidden_markov_model(segmenter: str) -> None:
    if segmenter == "rjieba":
        pytest.importorskip("rjieba")
    text = "小明毕业于杭研大厦"
    assert load_splitter(segmenter)(text) == [0, 2, 4, 5, 7]
    assert load_splitter(segmenter, SegmenterOptions(hmm=False))(text) == [0, 1, 2, 4, 5, 6, 7]
    options = SegmenterOptions(("杭研大厦 1000 n", "于杭"), True)
    assert load_splitter(segmenter, options)(text)[-1] == 5


def test_rust_and_python_agree_on_nearly_every_word(
    shared_data: Path, jieba_splitter: JiebaSplitter
) -> None:
    pytest.importorskip("rjieba")
    rust = load_splitter("rjieba")
    text = (shared_data / "zh-wiki.txt").read_text(encoding="utf-8").split("\n")[:60]
    ours = [(n, start) for n, line in enumerate(text) for start in jieba_splitter(line)]
    theirs = [(n, start) for n, line in enumerate(text) for start in rust(line)]
    both = len(set(ours) & set(theirs))
    assert both / max(len(ours), len(theirs)) > 0.99


def test_words_that_stand_apart_in_the_text() -> None:
    splitter = load_splitter("presegmented")
    assert splitter(" 学习　深度 模型, ok") == [0, 1, 4, 7, 11]
    assert splitter("") == [0]
    groups, fell_back = grouped("学习 深度 的", splitter)
    assert groups == ["学+习", "深+度", "的"]
    assert not fell_back


def test_user_dictionary_is_read_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("杭研大厦 1000 n\n\n云计算\n", encoding="utf-8")
    options = SegmenterOptions.from_file(str(tmp_path / "words.txt"), False)
    assert options == SegmenterOptions(("杭研大厦 1000 n", "云计算"), False)
    assert SegmenterOptions.from_file("", True) == SegmenterOptions()
    (tmp_path / "bad.txt").write_bytes("好\n".encode() + b"\xff\n")
    with pytest.raises(DataError, match=r"bad\.txt:2: not UTF-8"):
        SegmenterOptions.from_file(str(tmp_path / "bad.txt"), True)
