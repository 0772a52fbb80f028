import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import GPT2TokenizerFast

from mindmlm.config.schema.processor import TokenizerConfig
from mindmlm.data.vocabulary import save_tokenizer
from mindmlm.errors import DataError
from mindmlm.tokenizers import repeated_words
from mindmlm.tokenizers.base import Tokenizer
from mindmlm.tokenizers.bert import SPECIAL_TOKENS, BertTokenizer
from mindmlm.tokenizers.byte_level_bpe import END_OF_TEXT, train_byte_level_bpe
from mindmlm.tokenizers.byte_symbols import BYTE_SYMBOLS
from mindmlm.tokenizers.files import (
    has_tokenizer,
    load_tokenizer,
    load_tokenizer_from,
    tokenizer_from_setup,
)
from mindmlm.tokenizers.gpt2 import GPT2Tokenizer, IncrementalDecoder

TRAINED = GPT2Tokenizer.of_bpe(
    train_byte_level_bpe(["the cat sat on the mat, the hat", "今天天气很好，今天很好"] * 3, 300)
)
# Half of the texts are of characters with long spellings, which a random text rarely has.
TEXTS = st.text(st.characters(exclude_categories=("Cs",))) | st.text(
    st.sampled_from("the catsh'll 12\n\t\r  今天好é🙂\u3000\u00a0\u2003\u200b\x1c\x85"), max_size=40
)


@pytest.fixture(scope="module")
def real(shared_data: Path) -> GPT2Tokenizer:
    return GPT2Tokenizer.from_files(
        shared_data / "gpt2-vocab.json", shared_data / "gpt2-merges.txt"
    )


@pytest.fixture(scope="module")
def reference(shared_data: Path) -> GPT2TokenizerFast:
    return GPT2TokenizerFast(
        str(shared_data / "gpt2-vocab.json"), str(shared_data / "gpt2-merges.txt")
    )


@settings(max_examples=200, deadline=None)
@given(texts=st.lists(TEXTS, min_size=1, max_size=4))
def test_equal_to_transformers(
    real: GPT2Tokenizer, reference: GPT2TokenizerFast, texts: list[str]
) -> None:
    for text, ids in zip(texts, real.encode_ids(texts), strict=True):
        assert ids.dtype == np.int32
        assert ids.tolist() == reference(text)["input_ids"]
        assert real.decode(ids) == text


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32), data=st.data())
def test_any_ids_decode_as_in_transformers(
    real: GPT2Tokenizer, reference: GPT2TokenizerFast, seed: int, data: st.DataObject
) -> None:
    rng = random.Random(seed)
    ids = [rng.randrange(real.vocab_size) for _ in range(rng.randrange(30))]
    text = real.decode(ids)
    assert text == reference.decode(ids, clean_up_tokenization_spaces=False)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(ids)), max_size=8)))
    decoder = IncrementalDecoder(real)
    parts = [decoder.push(ids[a:b]) for a, b in zip([0, *cuts], [*cuts, len(ids)], strict=True)]
    assert "".join(parts) + decoder.finish() == text


def test_characters_come_whole() -> None:
    decoder = IncrementalDecoder(TRAINED)
    ids = TRAINED.encode_ids(["好🙂x"])[0]
    parts = [decoder.push([token]) for token in ids.tolist()]
    assert [part for part in parts if part] == ["好", "🙂", "x"]
    assert decoder.finish() == ""
    assert decoder.push(ids[-5:-3]) == ""
    assert decoder.finish() == "\ufffd"


def test_remembered_words_are_bounded(real: GPT2Tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeated_words, "_REMEMBERED_CHARACTERS", 50)
    asked: list[int] = []

    def encode(texts: Sequence[str]) -> list[list[int]]:
        asked.append(len(texts))
        return [real.encode_ids([text])[0].tolist() for text in texts]

    words = repeated_words.WordEncoder(encode)
    for text in ("a bee  sea", "a bee", "x" * 60, "a bee"):
        assert words.encode_batch([text])[0].tolist() == real.encode_ids([text])[0].tolist()
    assert asked == [4, 0, 1, 2]


@settings(deadline=None)
@given(text=TEXTS)
def test_a_trained_vocabulary_spells_everything(text: str) -> None:
    (ids,) = TRAINED.encode_ids([text])
    assert TRAINED.decode(ids) == text
    assert TRAINED.end_id not in ids


def test_the_end_token_comes_from_prompts_only(
    real: GPT2Tokenizer, reference: GPT2TokenizerFast
) -> None:
    text = f"one{END_OF_TEXT} two{END_OF_TEXT}{END_OF_TEXT}"
    assert real.encode_prompt(text).tolist() == reference(text)["input_ids"]
    assert real.encode_prompt("").tolist() == []
    (ids,) = real.encode_ids([text])
    assert real.end_id not in ids
    assert real.decode(ids) == real.decode(real.encode_prompt(text)) == text
    assert (real.vocab_size, real.end_id) == (50257, 50256)
    assert real.id_to_token(real.end_id) == END_OF_TEXT
    assert real.token_to_id("Ġthe") == 262
    assert real.token_to_id("Ġnotoken") is None


def test_ids_outside_of_the_vocabulary() -> None:
    for ids in ([-1], [0, TRAINED.vocab_size]):
        with pytest.raises(IndexError, match=f"not in a vocabulary of {TRAINED.vocab_size}"):
            TRAINED.decode(ids)


def test_files_of_both_kinds(
    real: GPT2Tokenizer, reference: GPT2TokenizerFast, shared_data: Path, tmp_path: Path
) -> None:
    reference.save_pretrained(tmp_path / "theirs")
    whole = GPT2Tokenizer.from_tokenizer_json(tmp_path / "theirs" / "tokenizer.json")
    assert whole.fingerprint() == real.fingerprint()
    assert [path.name for path in save_tokenizer(real, tmp_path / "ours")] == [
        "vocab.json",
        "merges.txt",
    ]
    vocab = (tmp_path / "ours" / "vocab.json").read_text(encoding="utf-8")
    original = (shared_data / "gpt2-vocab.json").read_text(encoding="utf-8")
    assert json.loads(vocab) == json.loads(original)
    merges = (tmp_path / "ours" / "merges.txt").read_text(encoding="utf-8")
    assert merges == (shared_data / "gpt2-merges.txt").read_text(encoding="utf-8")


def test_tokenizers_by_configuration(tmp_path: Path) -> None:
    section = TokenizerConfig(type="GPT2Tokenizer")
    assert not has_tokenizer(tmp_path, section.type)
    save_tokenizer(TRAINED, tmp_path)
    assert has_tokenizer(tmp_path, section.type)
    bert = BertTokenizer([*SPECIAL_TOKENS, "ä"], do_lower_case=False)
    save_tokenizer(bert, tmp_path)
    words = TokenizerConfig(do_lower_case=False)
    named = section.model_copy(update={"vocab_file": str(tmp_path / "vocab.json")})
    found: list[tuple[Tokenizer, Tokenizer]] = [
        (TRAINED, load_tokenizer_from(tmp_path, section)),
        (TRAINED, load_tokenizer(named)),
        (bert, load_tokenizer_from(tmp_path, words)),
        (bert, tokenizer_from_setup(json.loads(json.dumps(bert.setup())))),
        (TRAINED, tokenizer_from_setup(json.loads(json.dumps(TRAINED.setup())))),
    ]
    for expected, tokenizer in found:
        assert type(tokenizer) is type(expected)
        assert tokenizer.fingerprint() == expected.fingerprint()
    others = GPT2Tokenizer(TRAINED.vocab, TRAINED.merges[:-1])
    assert others.fingerprint() != TRAINED.fingerprint()
    (tmp_path / "merges.txt").rename(tmp_path / "other.txt")
    with pytest.raises(DataError, match=r"no merges\.txt beside it.*--merges_file"):
        load_tokenizer(named)
    other = named.model_copy(update={"merges_file": str(tmp_path / "other.txt")})
    assert load_tokenizer(other).fingerprint() == TRAINED.fingerprint()


def ids_of(vocab: list[str]) -> dict[str, Any]:
    return {token: place for place, token in enumerate(vocab)}


WITHOUT_A = [token for token in TRAINED.vocab if token != "a"]
LETTERS = [*BYTE_SYMBOLS.values(), END_OF_TEXT]


@pytest.mark.parametrize(
    ("vocab", "merges", "message"),
    [
        (ids_of(LETTERS) | {"zz": 300}, "", r"no token has the id 257; the ids must be 0 to 257"),
        (ids_of(LETTERS) | {"zz": 5}, "", r"the id 5 stands twice"),
        (ids_of(LETTERS) | {"zz": "257"}, "", r"'zz' has the id '257', not a whole number"),
        (ids_of(LETTERS) | {"zz": True}, "", r"'zz' has the id True"),
        (ids_of(LETTERS[:-1]), "", r"has no <\|endoftext\|>.*next free id, 256"),
        (ids_of(LETTERS[1:]), "", r"1 of the 256 bytes have no token \(Ā"),
        (ids_of(WITHOUT_A), "", r"1 of the 256 bytes have no token \(a"),
        (ids_of(LETTERS), "#version: 0.2\na b\n", r"merges.txt:2: merge 'a b' needs 'ab'"),
        (ids_of([*LETTERS, "ab"]), "a b\na b\n", r"merges.txt:2: .*already on line 1"),
        (ids_of([*LETTERS, "ab"]), "a b c\n", r"merges.txt:1: expected two tokens"),
        (ids_of([*LETTERS, "ab"]), "ab\n", r"merges.txt:1: expected two tokens"),
        ([1, 2], "", r"expected an object"),
    ],
)
def test_faulty_files(tmp_path: Path, vocab: Any, merges: str, message: str) -> None:
    (tmp_path / "vocab.json").write_text(json.dumps(vocab), encoding="utf-8")
    (tmp_path / "merges.txt").write_text(merges, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        GPT2Tokenizer.from_files(tmp_path / "vocab.json", tmp_path / "merges.txt")


def test_files_that_are_none(tmp_path: Path) -> None:
    missing, text, latin = (tmp_path / name for name in ("missing", "vocab.txt", "latin.txt"))
    text.write_text("[PAD]\n[UNK]\n", encoding="utf-8")
    latin.write_bytes(b"#version\nl\xe9 a\n")
    with pytest.raises(DataError, match="missing: cannot read the vocabulary: No such file"):
        GPT2Tokenizer.from_files(missing, missing)
    with pytest.raises(DataError, match=r"vocab\.txt:1: no JSON.*BertTokenizer's"):
        GPT2Tokenizer.from_files(text, missing)
    save_tokenizer(TRAINED, tmp_path)
    with pytest.raises(DataError, match="missing: cannot read the merges"):
        GPT2Tokenizer.from_files(tmp_path / "vocab.json", missing)
    with pytest.raises(DataError, match=r"latin\.txt:2: not UTF-8"):
        GPT2Tokenizer.from_files(tmp_path / "vocab.json", latin)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pre_tokenizer": {"type": "Whitespace"}}, r"another way than GPT-2 \(pre_tokenizer\)"),
        ({"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": True}}, "pre_tokenizer"),
        ({"normalizer": {"type": "NFC"}}, r"\(normalizer\)"),
        ({"model": {"type": "WordPiece"}}, "holds no BPE vocabulary"),
    ],
)
def test_other_kinds_of_tokenizer_json(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    content: dict[str, Any] = {
        "model": {"type": "BPE", "vocab": ids_of(TRAINED.vocab[:-1]), "merges": TRAINED.merges},
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False},
        "added_tokens": [{"id": len(TRAINED.vocab) - 1, "content": END_OF_TEXT}],
    }
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    section = TokenizerConfig(type="GPT2Tokenizer", vocab_file=str(path))
    assert load_tokenizer(section).fingerprint() == TRAINED.fingerprint()
    path.write_text(json.dumps(content | change), encoding="utf-8")
    with pytest.raises(DataError, match=message):
        load_tokenizer(section)
