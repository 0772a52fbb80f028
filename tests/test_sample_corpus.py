"""The shipped Chinese text is real prose: many sentences, no two of them alike."""

from collections import Counter, defaultdict
from collections.abc import Iterator

import pytest

from mindmlm.data.samples import chinese_sample_path

MIN_SENTENCES = 600
MAX_SHARED = 0.5


@pytest.fixture(scope="module")
def articles() -> list[list[str]]:
    text = chinese_sample_path().read_text(encoding="utf-8")
    return [block.split("\n") for block in text.removesuffix("\n").split("\n\n")]


@pytest.fixture(scope="module")
def sentences(articles: list[list[str]]) -> list[str]:
    return [sentence for article in articles for sentence in article]


def trigrams(sentence: str) -> set[str]:
    return {sentence[start : start + 3] for start in range(len(sentence) - 2)}


def alike(sentences: list[str]) -> Iterator[tuple[str, str, float]]:
    """Pairs that share more than half of the shorter one's trigrams, by an inverted index."""
    sets = [trigrams(sentence) for sentence in sentences]
    holders: dict[str, list[int]] = defaultdict(list)
    for number, grams in enumerate(sets):
        shared = Counter(other for gram in grams for other in holders[gram])
        for other, count in shared.items():
            share = count / min(len(grams), len(sets[other]))
            if share > MAX_SHARED:
                yield sentences[other], sentences[number], share
        for gram in grams:
            holders[gram].append(number)


def test_the_measure_finds_a_template() -> None:
    first, second = "学生们在教室里认真读书。", "孩子们在教室里认真读书。"
    assert [pair[:2] for pair in alike([first, "春天来了。", second])] == [(first, second)]


def test_it_is_long_enough(sentences: list[str]) -> None:
    assert len(sentences) >= MIN_SENTENCES


def test_every_line_is_a_sentence(sentences: list[str]) -> None:
    for sentence in sentences:
        assert sentence == sentence.strip()
        assert len(sentence) >= 6
        assert sentence.endswith(("。", "？", "！", "”", "…"))


def test_articles_are_articles(articles: list[list[str]]) -> None:
    assert len(articles) >= 30
    assert min(map(len, articles)) >= 5


def test_no_two_sentences_are_alike(sentences: list[str]) -> None:
    assert list(alike(sentences)) == []
