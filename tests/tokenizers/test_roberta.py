"""RoBERTa's tokenizer against transformers', its words, its files."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mindmlm.config.schema import TokenizerConfig
from mindmlm.data.vocabulary import save_tokenizer
from mindmlm.errors import DataError
from mindmlm.testing.tiny_roberta import TEXTS, from_gpt2, trained_tokenizer
from mindmlm.tokenizers.byte_level_bpe import train_byte_level_bpe
from mindmlm.tokenizers.files import ROBERTA, load_tokenizer, load_tokenizer_from
from mindmlm.tokenizers.files import tokenizer_from_setup as from_setup
from mindmlm.tokenizers.roberta import OF_ROBERTA, RobertaTokenizer

transformers = pytest.importorskip("transformers")

OURS = trained_tokenizer()
SPACES = " \t\n\x0b\x1c\x85\xa0\u2003\u3000"
TEXT = st.text(st.sampled_from("ahect, .'5日今天é😀" + SPACES), max_size=30) | st.text(max_size=20)
BLANKS = st.lists(st.sampled_from(["<mask>", "</s>", "the", "今", *SPACES]), max_size=12)


def theirs_of(vocab_file, merges_file):
    return transformers.RobertaTokenizerFast(
        vocab_file=str(vocab_file), merges_file=str(merges_file)
    )


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    return theirs_of(*save_tokenizer(OURS, tmp_path_factory.mktemp("bpe")))


def check_equal(ours, theirs, text):
    expected = theirs(text, add_special_tokens=False, return_offsets_mapping=True)
    (ids,), (batch,) = ours.encode_ids([text]), ours.encode_batch([text])
    assert ids.tolist() == batch.ids.tolist() == expected["input_ids"]
    assert [tuple(pair) for pair in batch.offsets.tolist()] == expected["offset_mapping"]
    assert ours.decode(ids) == theirs.decode(ids) == text


@given(TEXT)
@settings(max_examples=200, deadline=None)
def test_ids_offsets_and_decoding_are_those_of_transformers(theirs, text):
    check_equal(OURS, theirs, text.replace("\x00", ""))


@given(BLANKS)
@settings(max_examples=200, deadline=None)
def test_a_blank_takes_in_the_space_before_it(theirs, parts):
    text = "".join(part for part in parts if part != "</s>")
    ids = OURS.encode_with_blanks(text)
    assert ids.tolist() == theirs(text)["input_ids"]
    assert OURS.decode(ids) == theirs.decode(ids)


def test_the_vocabulary_of_the_published_models(shared_data, tmp_path):
    files = from_gpt2(shared_data / "gpt2-vocab.json", shared_data / "gpt2-merges.txt", tmp_path)
    ours, theirs = RobertaTokenizer.from_files(*files), theirs_of(*files)
    special = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
    assert [ours.token_to_id(token) for token in special] == [0, 1, 2, 3, 50264]
    assert ours.special_ids.tolist() == [0, 1, 2, 3, 50264]
    for text in (shared_data / "zh-wiki.txt").read_text(encoding="utf-8").splitlines()[:20]:
        check_equal(ours, theirs, text)
    text = "The capital of France, as I've  told you,\nis <mask>.\t1998 naïve"
    check_equal(ours, theirs, text.replace("<mask>", "Paris"))
    assert ours.encode_with_blanks(text).tolist() == theirs(text)["input_ids"]
    assert ours.token_text(theirs(" France")["input_ids"][1]) == " France"


def test_special_tokens_in_a_text_are_characters():
    for ids in OURS.encode_ids([*OF_ROBERTA.all, "a <mask> b</s>"]):
        assert not np.isin(ids, OURS.special_ids).any()
    assert OURS.mask_id not in OURS.encode_batch(["a <mask>"])[0].ids


def test_a_word_begins_with_a_space_or_an_ideograph():
    text = "the mat, it's 今天很好。 the"
    (ids,) = OURS.encode_ids([text])
    pieces, begins = [OURS.token_bytes[i] for i in ids], ~OURS.is_continuation[ids]
    begins[0] = True
    words: list[bytes] = []
    for piece, first in zip(pieces, begins, strict=True):
        words += [piece] if first else []
        words[-1] += b"" if first else piece
    found = [word.decode("utf-8", errors="replace") for word in words]
    assert found[:3] == ["the", " mat,", " it's"] and found[-1] == " the"
    # A space alone, then Chinese: no word holds more than the characters that one merge joined.
    assert all(len(word.strip()) <= 3 for word in found[3:-1])
    assert "".join(found) == text


def test_words_of_a_list_are_written_as_they_stand_in_a_text():
    forms = [OURS.decode(ids) for ids in OURS.encode_words(["cat", "mat"])]
    assert forms == [" cat", " mat", "cat", "mat"]


def test_training_gives_the_same_bytes_and_the_order_of_fairseq():
    bpe = train_byte_level_bpe(TEXTS, 290, OF_ROBERTA)
    assert bpe == train_byte_level_bpe(TEXTS, 290, OF_ROBERTA)
    assert bpe.vocab[:4] == ["<s>", "<pad>", "</s>", "<unk>"] and bpe.vocab[-1] == "<mask>"
    assert len(bpe.vocab) <= 290 and len(set(bpe.vocab)) == len(bpe.vocab)
    assert len(bpe.vocab) == 256 + 5 + len(bpe.merges)
    with pytest.raises(DataError, match="at least 261 tokens"):
        train_byte_level_bpe(TEXTS, 260, OF_ROBERTA)


def test_every_way_to_keep_it_gives_it_back(theirs, tmp_path):
    save_tokenizer(OURS, tmp_path)
    theirs.backend_tokenizer.save(str(tmp_path / "tokenizer.json"))
    section = TokenizerConfig(type=ROBERTA, vocab_file=str(tmp_path / "tokenizer.json"))
    whole = load_tokenizer(section)
    for again in (load_tokenizer_from(tmp_path, section), whole, from_setup(OURS.setup())):
        assert isinstance(again, RobertaTokenizer)
        assert again.fingerprint() == OURS.fingerprint()
        assert again.encode_ids(TEXTS)[0].tolist() == OURS.encode_ids(TEXTS)[0].tolist()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda vocab: vocab[4:], "has no <s> <pad> </s> <unk>.*take the one of the RoBERTa"),
        (lambda vocab: [vocab[1], vocab[0], *vocab[2:]], "first tokens are <pad> <s> </s> <unk>"),
    ],
)
def test_another_vocabulary_is_refused(tmp_path, change, message):
    vocab_file, merges_file = save_tokenizer(OURS, tmp_path)
    vocab_file.write_text(json.dumps({t: n for n, t in enumerate(change(OURS.vocab))}))
    with pytest.raises(DataError, match=message):
        RobertaTokenizer.from_files(vocab_file, merges_file)


def test_the_rules_of_configurations_know_the_same_special_tokens():
    from mindmlm.config.checks.tokenizer import _SPECIAL
    from mindmlm.tokenizers.files import BYTE_LEVEL

    found = {kind: set(tokenizer.special.all) for kind, tokenizer in BYTE_LEVEL.items()}
    assert found == {kind: set(tokens) for kind, tokens in _SPECIAL.items()}
