"""How answers are judged: exact match and F1 of SQuAD 1.1, SQuAD 2.0 and CMRC 2018.

Sources: the evaluation scripts of the three (`evaluate-v1.1.py`, `evaluate-v2.0.py`,
`cmrc2018_evaluate.py`).
"""

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_ASCII_PUNCTUATION = frozenset(string.punctuation)
# The script compares single characters with a list that has "……" in it, which therefore stays.
_CMRC_PUNCTUATION = frozenset("-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』")
_IDEOGRAPH = re.compile("[\u4e00-\u9fa5]")

# (right answers, given answer) -> from 0 to 1
Judge = Callable[[Sequence[str], str], float]


@dataclass(frozen=True)
class AnswerMetric:
    """A way to judge one answer.

    Attributes:
        exact_match, f1: from 0 to 1.
    """

    exact_match: Judge
    f1: Judge


def normalize(text: str) -> str:
    """Return a text as SQuAD compares it: lower case, no punctuation, no articles, one space."""
    text = "".join(character for character in text.lower() if character not in _ASCII_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", text).split())


def squad_exact_match(answers: Sequence[str], prediction: str) -> float:
    """Whether the prediction is one of the answers, normalized; without answers, whether empty."""
    wanted = {normalize(answer) for answer in answers or [""]}
    return float(normalize(prediction) in wanted)


def squad_f1(answers: Sequence[str], prediction: str) -> float:
    """Largest F1 of words between the prediction and an answer."""
    return max(
        _words_f1(normalize(answer).split(), normalize(prediction).split()) for answer in answers
    )


def _words_f1(answer: list[str], prediction: list[str]) -> float:
    common = sum((Counter(prediction) & Counter(answer)).values())
    return _f1(common, len(prediction), len(answer))


def _f1(common: int, predicted: int, wanted: int) -> float:
    if not common:
        return 0.0
    precision, recall = common / predicted, common / wanted
    return 2 * precision * recall / (precision + recall)


def _squad_v2_answers(answers: Sequence[str]) -> Sequence[str]:
    """Return the answers that do not vanish when they are normalized; no answer is an empty one."""
    return [answer for answer in answers if normalize(answer)] or [""]


def squad_v2_exact_match(answers: Sequence[str], prediction: str) -> float:
    """As `squad_exact_match` for questions that may have no answer."""
    return squad_exact_match(_squad_v2_answers(answers), prediction)


def squad_v2_f1(answers: Sequence[str], prediction: str) -> float:
    """As `squad_f1`; where answer or prediction is empty, 1 if both are."""
    words = normalize(prediction).split()

    def f1(answer: str) -> float:
        wanted = normalize(answer).split()
        return _words_f1(wanted, words) if wanted and words else float(wanted == words)

    return max(f1(answer) for answer in _squad_v2_answers(answers))


def cmrc_exact_match(answers: Sequence[str], prediction: str) -> float:
    """Whether the prediction is one of the answers, lower case and without punctuation."""
    return float(_without_punctuation(prediction) in map(_without_punctuation, answers))


def cmrc_f1(answers: Sequence[str], prediction: str) -> float:
    """Largest F1 by the longest common run of characters (Chinese) and words (other scripts)."""
    predicted = cmrc_segments(prediction)

    def f1(answer: str) -> float:
        wanted = cmrc_segments(answer)
        return _f1(_longest_common_run(wanted, predicted), len(predicted), len(wanted))

    return max(f1(answer) for answer in answers)


def cmrc_segments(text: str) -> list[str]:
    """Divide a text as CMRC compares it: each Chinese character alone, other text into words."""
    segments: list[str] = []
    other = ""
    for character in _without_punctuation(text):
        if _IDEOGRAPH.match(character):
            segments += [*_words(other), character]
            other = ""
        else:
            other += character
    return segments + _words(other)


def _without_punctuation(text: str) -> str:
    return "".join(c for c in text.lower().strip() if c not in _CMRC_PUNCTUATION)


def _words(text: str) -> list[str]:
    """Divide text that is not Chinese into words, in the way of the Penn Treebank.

    Without NLTK's division into sentences, for which it would have to download a model.
    """
    return list(_word_tokenizer()(text)) if text else []


@cache
def _word_tokenizer() -> Callable[[str], list[str]]:
    # NLTK takes half a second to import.
    from nltk.tokenize.destructive import NLTKWordTokenizer

    tokenize: Callable[[str], list[str]] = NLTKWordTokenizer().tokenize
    return tokenize


def _longest_common_run(first: Sequence[str], second: Sequence[str]) -> int:
    """Return the length of the longest part that both have in one piece."""
    longest = 0
    previous = [0] * (len(second) + 1)
    for item in first:
        current = [0] * (len(second) + 1)
        for place, other in enumerate(second, start=1):
            if item == other:
                current[place] = previous[place - 1] + 1
                longest = max(longest, current[place])
        previous = current
    return longest


METRICS = {
    "squad": AnswerMetric(squad_exact_match, squad_f1),
    "squad_v2": AnswerMetric(squad_v2_exact_match, squad_v2_f1),
    "cmrc2018": AnswerMetric(cmrc_exact_match, cmrc_f1),
}
