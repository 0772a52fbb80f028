"""Chinese text is tokenized part by part; the tokens are those of the whole."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mindmlm.tokenizers.bert import SPECIAL_TOKENS, BertTokenizer

ALPHABET = "学习数据㐀豈𠀀， 。\t\u3000\u200b\u0000ab1é\u0301İ한のA-％ﬁ[MASK]\r\n龥😀"
TOKENS = [*SPECIAL_TOKENS, *"学习据豈𠀀，。ab1eiの-", "##a", "##b", "##1", "ab", "한", "％", "m"]


@pytest.mark.parametrize("lower", [True, False])
def test_tokens_and_offsets_are_those_of_the_whole_text(lower: bool) -> None:
    tokenizer = BertTokenizer(TOKENS, do_lower_case=lower)

    @settings(max_examples=400, deadline=None)
    @given(st.lists(st.text(st.sampled_from(ALPHABET), max_size=30), max_size=4))
    def check(texts: list[str]) -> None:
        for whole, encoded in zip(
            tokenizer._encode(texts), tokenizer.encode_batch(texts), strict=True
        ):
            assert encoded.ids.tolist() == whole.ids
            assert [tuple(pair) for pair in encoded.offsets.tolist()] == whole.offsets
            assert encoded.offsets.shape == (len(whole.ids), 2)
            assert encoded.ids.dtype == encoded.offsets.dtype == np.int32

    check()


def test_real_text(shared_data: Path) -> None:
    tokenizer = BertTokenizer.from_vocab_file(shared_data / "bert-base-chinese-vocab.txt")
    lines = (shared_data / "zh-wiki.txt").read_text(encoding="utf-8").split("\n")
    for whole, encoded in zip(tokenizer._encode(lines), tokenizer.encode_batch(lines), strict=True):
        assert encoded.ids.tolist() == whole.ids
        assert [tuple(pair) for pair in encoded.offsets.tolist()] == whole.offsets
