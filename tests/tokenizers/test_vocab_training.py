import hashlib
import os
import pydoc_data.topics
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mindmlm.errors import DataError
from mindmlm.tokenizers.bert import SPECIAL_TOKENS, BertTokenizer, vocab_text
from mindmlm.tokenizers.vocab_training import train_vocab

ENGLISH = "\n".join(pydoc_data.topics.topics.values()).split("\n")
CHINESE = [
    "深度学习需要数据和算力。",
    "学生在学校学习数学，BERT 也学习。",
    "𠀀是罕见字 learning learning",
]

SCRIPT = """
import hashlib, pydoc_data.topics
from mindmlm.tokenizers.bert import vocab_text
from mindmlm.tokenizers.vocab_training import train_vocab
lines = "\\n".join(pydoc_data.topics.topics.values()).split("\\n") + ["深度学习", "学习"] * 3
print(hashlib.sha256(vocab_text(train_vocab(lines, 2500, True)).encode()).hexdigest())
"""


def test_same_bytes_in_every_process() -> None:
    digests = set()
    for seed in ("0", "1", "77"):
        run = subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        digests.add(run.stdout.strip())
    text = vocab_text(train_vocab([*ENGLISH, *["深度学习", "学习"] * 3], 2500, True))
    assert digests == {hashlib.sha256(text.encode()).hexdigest()}


def test_english_vocabulary_covers_its_text() -> None:
    vocab = train_vocab(ENGLISH, 2000, do_lower_case=True)
    assert len(vocab) == 2000 == len(set(vocab))
    assert vocab[:5] == list(SPECIAL_TOKENS)
    assert {"the", "function"} <= set(vocab)
    tokenizer = BertTokenizer(vocab)
    encoded = tokenizer.encode_batch(ENGLISH)
    assert sum(int((text.ids == tokenizer.unk_id).sum()) for text in encoded) == 0


def test_chinese_characters_by_frequency() -> None:
    vocab = train_vocab(CHINESE, 500, do_lower_case=True)
    chinese = [token for token in vocab if token in "深度学习需要数据和算力生在校也是罕见字𠀀"]
    assert chinese[:2] == ["学", "习"]
    assert set("深度学习𠀀，。") <= set(vocab)
    assert not [token for token in vocab if token.startswith("##") and token[2:] in "学习，。"]
    assert "learning" in vocab


def test_too_small_a_vocabulary_keeps_the_frequent_characters() -> None:
    vocab = train_vocab(["丙丙丙乙乙甲"], 7, do_lower_case=True)
    assert vocab == [*SPECIAL_TOKENS, "丙", "乙"]


def test_ties_by_code_point_whatever_the_order_of_lines() -> None:
    lines = ["甲 乙 丙", "b a c", "学习 data data"]
    assert train_vocab(lines, 60, True) == train_vocab(lines[::-1], 60, True)


def test_case_is_kept_on_request() -> None:
    assert "B" in train_vocab(["BERT bert"], 50, do_lower_case=False)
    assert "B" not in train_vocab(["BERT bert"], 50, do_lower_case=True)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=20), min_size=1, max_size=10), st.integers(6, 300))
def test_any_text_gives_a_valid_vocabulary(texts: list[str], size: int) -> None:
    try:
        vocab = train_vocab(texts, size, True)
    except DataError:
        tokenizer = BertTokenizer([*SPECIAL_TOKENS, "a"])
        assert not any(len(encoded.ids) for encoded in tokenizer.encode_batch(texts))
        return
    assert len(vocab) <= size
    assert len(set(vocab)) == len(vocab)
    assert all(token and not token.isspace() for token in vocab)
    if size == 300:
        tokenizer = BertTokenizer(vocab)
        assert all(tokenizer.unk_id not in text.ids for text in tokenizer.encode_batch(texts))


@pytest.mark.parametrize(("texts", "size"), [([], 100), (["", "  "], 100), (["text"], 5)])
def test_impossible_requests_are_errors(texts: list[str], size: int) -> None:
    with pytest.raises(DataError):
        train_vocab(texts, size, True)
