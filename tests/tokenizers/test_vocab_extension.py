import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mindmlm.tokenizers.bert import SPECIAL_TOKENS, BertTokenizer
from mindmlm.tokenizers.vocab_extension import (
    extend_rows,
    extend_vocab,
    frequent_divided_words,
    is_extension,
    pieces_of_new_tokens,
)

VOCAB = [*SPECIAL_TOKENS, "trans", "##form", "##er", "t", "##s", "中", "国", "-", "19"]


def test_words_become_one_token_and_old_ids_stay() -> None:
    extended = extend_vocab(VOCAB, ["Transformer", "trans", "TRANSFORMER"], do_lower_case=True)
    assert extended.vocab == [*VOCAB, "transformer"]
    assert (extended.added, extended.known) == (["transformer"], ["trans", "TRANSFORMER"])
    old, new = BertTokenizer(VOCAB), BertTokenizer(extended.vocab)
    assert old.encode_ids(["Transformers"])[0].tolist() == [5, 6, 7, 9]
    assert new.encode_ids(["Transformers"])[0].tolist() == [len(VOCAB), 9]
    assert extend_vocab(VOCAB, ["Trans"], do_lower_case=False).added == ["Trans"]


def test_words_that_cannot_be_one_token_give_their_parts() -> None:
    extended = extend_vocab(VOCAB, ["中医", "covid-19", "x" * 101, "##er", " "], True)
    assert extended.added == ["医", "covid", "#", "er"]
    assert extended.divided == ["中医", "covid-19", "##er"]
    tokenizer = BertTokenizer(extended.vocab)
    assert tokenizer.unk_id not in tokenizer.encode_ids(["中医 covid-19"])[0]


def test_frequent_words_that_are_divided() -> None:
    texts = ["Transformer transformer trans", "zeta transformers", "zeta beta zeta beta 中"]
    tokenizer = BertTokenizer(VOCAB)
    assert frequent_divided_words(texts, tokenizer, 10, 2) == ["zeta", "beta", "transformer"]
    assert frequent_divided_words(texts, tokenizer, 1, 1) == ["zeta"]


def test_pieces_are_those_of_the_tokenizer() -> None:
    new = [*VOCAB, "transformer", "##forms", "zzz", "中"]
    pieces = [ids.tolist() for ids in pieces_of_new_tokens(VOCAB, new)]
    assert pieces == [[5, 6, 7], [6, 9], list(range(5, len(VOCAB))), [10]]


@given(st.lists(st.text("abc", min_size=1, max_size=6), unique=True, max_size=8))
def test_pieces_agree_with_wordpiece(words: list[str]) -> None:
    old = [*SPECIAL_TOKENS, "a", "b", "##a", "##b", "ab", "##ba"]
    extended = extend_vocab(old, words, True)
    tokenizer = BertTokenizer(old)
    assert is_extension(old, extended.vocab)
    for word, ids in zip(extended.added, pieces_of_new_tokens(old, extended.vocab), strict=True):
        expected = tokenizer.encode_ids([word])[0].tolist()
        assert ids.tolist() == (
            list(range(5, len(old))) if tokenizer.unk_id in expected else expected
        )


@pytest.mark.parametrize("shape", [(4,), ()])
def test_rows(shape: tuple[int, ...]) -> None:
    generator = np.random.default_rng(0)
    trained = generator.standard_normal((6, *shape)).astype(np.float32)
    initial = generator.standard_normal((9, *shape)).astype(np.float32)
    rows = extend_rows(trained, initial, 5, [np.array([1, 3]), np.array([2])])
    assert rows.dtype == np.float32
    np.testing.assert_array_equal(rows[:5], trained[:5])
    np.testing.assert_allclose(rows[5], (trained[1] + trained[3]) / 2, rtol=1e-6)
    np.testing.assert_array_equal(rows[6], trained[2])
    np.testing.assert_array_equal(rows[7:], initial[7:])


def test_what_is_an_extension() -> None:
    assert is_extension(VOCAB, VOCAB)
    assert is_extension(VOCAB, [*VOCAB, "x"])
    assert not is_extension(VOCAB, VOCAB[:-1])
    assert not is_extension(VOCAB, ["x", *VOCAB])
