"""Synonyms, word vectors, antonyms and terms, from files."""

from pathlib import Path

import numpy as np
import pytest

from mindmlm.data.masking.similar_words import SimilarWords
from mindmlm.data.masking.terms import TermTable
from mindmlm.data.similar_word_files import SimilarWordSettings, load_similar_words
from mindmlm.errors import DataError
from mindmlm.tokenizers.bert import SPECIAL_TOKENS, BertTokenizer

TOKENIZER = BertTokenizer([*SPECIAL_TOKENS, *"喜欢爱好讨厌高兴开心学习", "cat", "dog"])


def write(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


def partners(table: SimilarWords, word: str) -> set[str]:
    """All words that may take the place of ``word``."""
    ids = TOKENIZER.encode_ids([word])[0]
    place = table.look_up(ids, np.array([0]), np.array([len(ids)]))
    if place[0] < 0:
        return set()
    bits = np.linspace(0, 2**64 - 2**40, 500).astype(np.uint64)
    drawn = table.draw_similar(np.repeat(place, 500), bits)
    found = set()
    for other in set(drawn.tolist()) - {-1}:
        pieces = table.pieces(np.full(len(ids), other), np.arange(len(ids)))
        found.add("".join(TOKENIZER.id_to_token(token) for token in pieces))
    return found


def test_synonyms_have_as_many_pieces_and_no_antonym(tmp_path):
    synonyms = write(tmp_path / "s.txt", "Aa01A01= 喜欢 爱好 爱 讨厌 蘑菇\n高兴 开心\n爱 cat\n")
    antonyms = write(tmp_path / "a.txt", "喜欢 讨厌\n")
    table = load_similar_words(SimilarWordSettings(synonyms, antonyms), TOKENIZER)
    assert partners(table, "喜欢") == {"爱好"}
    assert partners(table, "讨厌") == {"爱好"}
    assert partners(table, "爱好") == {"喜欢", "讨厌"}
    assert partners(table, "爱") == {"cat"}
    assert partners(table, "开心") == {"高兴"}
    assert partners(table, "蘑菇") == set()


@pytest.mark.parametrize("header", ["", "7 3\n"])
def test_vectors_give_the_nearest_words(tmp_path, header):
    rows = {
        "喜欢": (1, 0, 0), "讨厌": (0.99, 0.1, 0), "爱好": (0.9, 0.3, 0), "高兴": (0, 1, 0),
        "爱": (1, 0, 0), "开心": (0, 1, 0.2), "乌鸦": (1, 0, 0),
    }  # fmt: skip
    text = header + "".join(f"{word} {a} {b} {c}\n" for word, (a, b, c) in rows.items())
    vectors = write(tmp_path / "v.txt", text)
    antonyms = write(tmp_path / "a.txt", "喜欢 讨厌\n")
    table = load_similar_words(SimilarWordSettings(vectors, max_similar=1), TOKENIZER)
    assert partners(table, "喜欢") == {"讨厌"}
    table = load_similar_words(SimilarWordSettings(vectors, antonyms, max_similar=1), TOKENIZER)
    assert partners(table, "喜欢") == {"爱好"}
    assert partners(table, "高兴") == {"开心"}
    assert partners(table, "爱") == set()
    few = load_similar_words(SimilarWordSettings(vectors, max_words=3), TOKENIZER)
    assert partners(few, "高兴") == set()
    assert partners(few, "喜欢") == {"讨厌", "爱好"}


def test_nearest_words_equal_a_plain_search(tmp_path):
    rng = np.random.default_rng(0)
    names = [a + b for a in "喜欢爱好讨厌高兴" for b in "开心学习"]
    vectors = rng.normal(size=(len(names), 8)).astype(np.float32)
    text = "".join(
        f"{name} {' '.join(map(str, row))}\n" for name, row in zip(names, vectors, strict=True)
    )
    table = load_similar_words(
        SimilarWordSettings(write(tmp_path / "v.txt", text), max_similar=3), TOKENIZER
    )
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    for place, name in enumerate(names):
        cosines = unit @ unit[place]
        cosines[place] = -2
        assert partners(table, name) == {names[n] for n in np.argsort(-cosines)[:3]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("喜欢 1 2\n爱好 1\n", r"v\.txt:2: 1 numbers after '爱好', 2 in the lines before"),
        ("喜欢 1 2\n爱好 1 x\n", r"v\.txt:2: expected numbers after"),
        ("喜欢 开\n", "no word of it has a similar one"),
        ("", "holds no words"),
    ],
)
def test_faulty_files_are_refused(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        load_similar_words(SimilarWordSettings(write(tmp_path / "v.txt", text)), TOKENIZER)


def test_terms_are_read_and_found(tmp_path):
    path = write(tmp_path / "t.txt", "学习\t100 n\n# a comment\n\n喜欢 高兴\n蘑菇\n")
    terms = TermTable.from_file(Path(path), TOKENIZER, 3.0)
    row = np.array([TOKENIZER.encode_ids(["爱学习喜欢高兴"])[0]])
    found, starts = terms.find(row, np.ones(row.shape, np.bool_))
    assert found[0].tolist() == [False] + [True] * 6
    assert starts[0].tolist() == [True, True, False, True, False, False, False]
    with pytest.raises(DataError, match="none of its 1 terms can be written"):
        TermTable.from_file(Path(write(tmp_path / "u.txt", "蘑菇\n")), TOKENIZER, 3.0)
