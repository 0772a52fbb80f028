import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mindmlm.errors import DataError
from mindmlm.tokenizers.bert import SPECIAL_TOKENS, BertTokenizer

TRICKY = [
    "Café naïve cafe\u0301s ÅNGSTRÖM İstanbul straße ﬁne",
    "全角ＡＢＣ１２３，。！ 半角abc123",
    "emoji 😀👍🏽 inside中文😀text",
    "control\u0000char\u200bzero\ufeffwidth\ufffd\u00a0nbsp\u3000wide\tTab",
    "日本語のテキスト 한국어 텍스트 العربية русский Ελληνικά;",
    "𠀀𪜀 rare 豈 ideographs 㐀",
    "C++ 3.14% e-mail@x.org T恤 卡拉OK 2023年5月 don't [unk]",
    "x" * 150 + " after",
    "",
    "   ",
    "line\u2028separator\u0085next",
]


def write_vocab_file(path: Path, tokens: list[str]) -> Path:
    path.write_text("".join(f"{token}\n" for token in tokens), encoding="utf-8")
    return path


def small_vocab() -> list[str]:
    characters = sorted(set("".join(TRICKY).lower()) - set(" \t\u3000\u00a0\u2028\u0085\n"))
    pieces = [*characters, *("##" + c for c in characters), "cafe", "##ers", "emoji", "text"]
    return [*SPECIAL_TOKENS, *dict.fromkeys(pieces)]


@pytest.fixture
def tokenizer(tmp_path: Path) -> BertTokenizer:
    return BertTokenizer.from_vocab_file(write_vocab_file(tmp_path / "vocab.txt", small_vocab()))


def assert_equal_to_transformers(path: Path, texts: list[str], lower: bool) -> None:
    transformers = pytest.importorskip("transformers")
    peer = transformers.BertTokenizerFast(vocab_file=str(path), do_lower_case=lower)
    ours = BertTokenizer.from_vocab_file(path, lower)
    theirs = peer(texts, add_special_tokens=False, return_offsets_mapping=True)
    assert [ids.tolist() for ids in ours.encode_ids(texts)] == theirs["input_ids"]
    for text, mine, ids, offsets in zip(
        texts, ours.encode_batch(texts), theirs["input_ids"], theirs["offset_mapping"], strict=True
    ):
        assert mine.ids.tolist() == ids, text
        assert [tuple(o) for o in mine.offsets.tolist()] == offsets, text


@pytest.mark.parametrize("lower", [True, False])
def test_equals_transformers_on_a_small_vocabulary(tmp_path: Path, lower: bool) -> None:
    path = write_vocab_file(tmp_path / "vocab.txt", small_vocab())
    alphabet = "".join(TRICKY)
    random_texts = ["".join(random.Random(n).choices(alphabet, k=40)) for n in range(300)]
    assert_equal_to_transformers(path, TRICKY + random_texts, lower)


@pytest.mark.parametrize("lower", [True, False])
@pytest.mark.parametrize("name", ["bert-base-uncased-vocab.txt", "bert-base-chinese-vocab.txt"])
def test_equals_transformers_on_real_vocabularies(
    shared_data: Path, name: str, lower: bool
) -> None:
    lines = (shared_data / "zh-wiki.txt").read_text(encoding="utf-8").split("\n")
    english = (shared_data / "squad-sample.json").read_text(encoding="utf-8")
    chunks = [english[n : n + 2000] for n in range(0, 100_000, 2000)]
    assert_equal_to_transformers(shared_data / name, [*TRICKY, *lines, *chunks], lower)


def test_offsets_refer_to_the_original_text(tokenizer: BertTokenizer) -> None:
    for text, encoded in zip(TRICKY, tokenizer.encode_batch(TRICKY), strict=True):
        for token_id, (start, end) in zip(encoded.ids, encoded.offsets, strict=True):
            assert 0 <= start < end <= len(text)
            if token_id != tokenizer.unk_id and text[start:end].isascii():
                piece = tokenizer.id_to_token(token_id).removeprefix("##")
                assert text[start:end].replace("\x00", "").lower() == piece


@given(st.lists(st.sampled_from([*SPECIAL_TOKENS, "text", "中", " ", "x"]), max_size=12))
def test_corpus_text_never_gives_special_ids(parts: list[str]) -> None:
    vocab = [*SPECIAL_TOKENS, *"[]中x", "##x", "text", *"maskcleunpd"]
    vocab = list(dict.fromkeys([*vocab, *("##" + c for c in "maskclseunpdtx")]))
    tokenizer = BertTokenizer(vocab)
    ids = tokenizer.encode_batch(["".join(parts)])[0].ids
    reserved = set(tokenizer.special_ids.tolist()) - {tokenizer.unk_id}
    assert not reserved & set(ids.tolist())


def test_blanks_become_mask_ids(tmp_path: Path) -> None:
    path = write_vocab_file(tmp_path / "v.txt", small_vocab())
    tokenizer = BertTokenizer.from_vocab_file(path)
    ids = tokenizer.encode_with_blanks("[MASK]中text[MASK][MASK] x")
    names = [tokenizer.id_to_token(i) for i in ids]
    assert names == ["[CLS]", "[MASK]", "中", "text", "[MASK]", "[MASK]", "x", "[SEP]"]
    assert ids.dtype == np.int32
    transformers = pytest.importorskip("transformers")
    peer = transformers.BertTokenizerFast(vocab_file=str(path), do_lower_case=True)
    for text in ["a[MASK]b 中[MASK]", "no blank", "", "[MASK]"]:
        assert tokenizer.encode_with_blanks(text).tolist() == peer(text)["input_ids"]


def test_literal_sep_in_a_question_is_plain_text(tokenizer: BertTokenizer) -> None:
    ids = tokenizer.encode_with_blanks("x [SEP] x").tolist()
    assert ids.count(tokenizer.sep_id) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"[PAD]\n[UNK]\n[CLS]\n[SEP]\na\n", r"\[MASK\] missing"),
        (b"[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\na\n", r":8: token 'a'.*line 6"),
        (b"[PAD]\n[UNK]\n\n[CLS]\n", ":3: empty line"),
        (b"[PAD]\n[UNK]\n\xff\n", ":3: not UTF-8"),
    ],
)
def test_bad_vocabularies_name_file_and_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "vocab.txt"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        BertTokenizer.from_vocab_file(path)
    assert str(path) in str(caught.value)


def test_missing_vocabulary(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.txt"):
        BertTokenizer.from_vocab_file(tmp_path / "none.txt")


def test_windows_line_ends_and_line_separators(tmp_path: Path) -> None:
    path = tmp_path / "vocab.txt"
    path.write_bytes("\r\n".join([*SPECIAL_TOKENS, "\u2028", "a"]).encode())
    assert BertTokenizer.from_vocab_file(path).vocab[-2:] == ["\u2028", "a"]


def test_fingerprint_sees_vocabulary_and_case() -> None:
    base = [*SPECIAL_TOKENS, "a", "b"]
    prints = {
        BertTokenizer(base).fingerprint(),
        BertTokenizer(base, do_lower_case=False).fingerprint(),
        BertTokenizer([*SPECIAL_TOKENS, "b", "a"]).fingerprint(),
    }
    assert len(prints) == 3
    assert BertTokenizer(list(base)).fingerprint() in prints


def test_import_needs_no_mindspore() -> None:
    code = "import sys, mindmlm.tokenizers.vocab_training; assert 'mindspore' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, env=dict(os.environ))
