"""Exact match and F1, against independent statements of the rules."""

import re
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mindmlm.data.question_answering import metrics

# Words that the rules treat in a special way, and any text.
PIECES = st.one_of(
    st.sampled_from(
        ["a", "an", "the", "The", "A.", "an,", "theatre", "cat", "Cat's", "$5", "3.5%", "U.S.", " "]
    ),
    st.sampled_from(["  ", "\t", "-", "...", "é", "ß", "İ", "\u00a0", "_"]),
    st.text(max_size=4),
)
TEXTS = st.lists(PIECES, max_size=6).map(" ".join)
CHINESE = st.lists(
    st.one_of(
        st.sampled_from([*"的一是在不了有和人这中大为上个国，。：“”《》·、—…"]),
        st.sampled_from(["nexon", "Nexon ", " 3.5% ", "1998", "u.s.", "don't ", "·", "～", "……"]),
    ),
    max_size=10,
).map("".join)


def normal(text: str) -> str:
    """SQuAD's normal form, a step at a time."""
    text = text.lower()
    for mark in string.punctuation:
        text = text.replace(mark, "")
    text = re.sub(r"\b(a|an|the)\b", " ", text)
    return re.sub(r"\s+", " ", text).strip() if text.strip() else ""


def bag_f1(first: list[str], second: list[str]) -> float:
    """F1 of two bags, by taking items out one by one."""
    rest, common = list(second), 0
    for item in first:
        if item in rest:
            rest.remove(item)
            common += 1
    return 2 * common / (len(first) + len(second)) if common else 0.0


@settings(deadline=None)
@given(TEXTS)
def test_the_normal_form(text: str) -> None:
    assert metrics.normalize(text) == " ".join(normal(text).split())


@settings(deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=3), TEXTS)
def test_squad(answers: list[str], prediction: str) -> None:
    given_words = normal(prediction).split()
    assert metrics.squad_exact_match(answers, prediction) == float(
        any(normal(answer).split() == given_words for answer in answers)
    )
    scores = [bag_f1(normal(answer).split(), given_words) for answer in answers]
    assert metrics.squad_f1(answers, prediction) == pytest.approx(max(scores))


@settings(deadline=None)
@given(st.lists(TEXTS, max_size=3), TEXTS)
def test_squad_v2(answers: list[str], prediction: str) -> None:
    given_words = normal(prediction).split()
    wanted = [normal(a).split() for a in answers if normal(a).split()] or [[]]
    assert metrics.squad_v2_exact_match(answers, prediction) == float(given_words in wanted)
    scores = [
        bag_f1(words, given_words) if words and given_words else float(words == given_words)
        for words in wanted
    ]
    assert metrics.squad_v2_f1(answers, prediction) == pytest.approx(max(scores))


@settings(deadline=None)
@given(st.lists(TEXTS, max_size=3), TEXTS)
def test_squad_v2_beside_the_script_in_transformers(answers: list[str], prediction: str) -> None:
    script = pytest.importorskip("transformers.data.metrics.squad_metrics")
    wanted = [answer for answer in answers if script.normalize_answer(answer)] or [""]
    exact = max(script.compute_exact(answer, prediction) for answer in wanted)
    f1 = max(script.compute_f1(answer, prediction) for answer in wanted)
    assert metrics.squad_v2_exact_match(answers, prediction) == exact
    assert metrics.squad_v2_f1(answers, prediction) == pytest.approx(f1)


def cmrc_units(text: str) -> list[str]:
    """CMRC's units by a pattern: one Chinese character, or what stands between two of them."""
    from nltk import word_tokenize

    for mark in "-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』":
        text = text.strip().lower() if mark == "-" else text
        text = text.replace(mark, "")
    units = []
    for part in re.findall("[\u4e00-\u9fa5]|[^\u4e00-\u9fa5]+", text):
        chinese = re.fullmatch("[\u4e00-\u9fa5]", part)
        units += [part] if chinese else word_tokenize(part, preserve_line=True)
    return units


def longest_run(first: list[str], second: list[str]) -> int:
    """Length of the longest part that stands in both, by trying all."""
    runs = [first[a:b] for a in range(len(first)) for b in range(a + 1, len(first) + 1)]
    places = range(len(second))
    return max(
        (len(run) for run in runs if any(second[p : p + len(run)] == run for p in places)),
        default=0,
    )


@settings(deadline=None)
@given(st.lists(CHINESE, min_size=1, max_size=2), CHINESE)
def test_cmrc(answers: list[str], prediction: str) -> None:
    given_units = cmrc_units(prediction)
    scores = []
    for answer in answers:
        units = cmrc_units(answer)
        common = longest_run(units, given_units)
        scores.append(2 * common / (len(units) + len(given_units)) if common else 0.0)
    assert metrics.cmrc_f1(answers, prediction) == pytest.approx(max(scores))
    # All but the words' borders: what is left of the text.
    bare = [
        "".join(
            re.split("[-:_*^/\\\\~`+=，。：？！“”；’《》·、「」（）－～『』]", t.lower().strip())
        )
        for t in (*answers, prediction)
    ]
    assert metrics.cmrc_exact_match(answers, prediction) == float(bare[-1] in bare[:-1])


def test_the_rules_by_example() -> None:
    assert metrics.squad_exact_match(["the Cat!"], "cat") == 1.0
    assert metrics.squad_f1(["a big cat"], "big dog") == pytest.approx(0.5)
    assert metrics.squad_f1(["the"], "") == 0.0
    assert metrics.squad_v2_f1([], "") == metrics.squad_v2_exact_match([], "") == 1.0
    assert metrics.squad_v2_f1([], "cat") == metrics.squad_v2_f1(["cat"], "") == 0.0
    assert metrics.cmrc_exact_match(["《踢爆》"], "踢爆") == 1.0
    # Both are in one piece of two characters: 2 of 3, 2 of 4.
    assert metrics.cmrc_f1(["在北京"], "去北京吧") == pytest.approx(2 * 2 / 7)
    assert metrics.cmrc_segments("Nexon在1998年3.5%") == ["nexon", "在", "1998", "年", "3.5", "%"]
