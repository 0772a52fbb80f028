"""Which answer follows from scores: a plain statement of transformers' `utils_qa.py`, for tests."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from mindmlm.data.question_answering.answers import AnswerSettings


@dataclass(frozen=True)
class Window:
    """A row of a question: scores of all columns, and the characters of its context's tokens.

    `column` is that of the first token of the context.
    """

    start_logits: np.ndarray
    end_logits: np.ndarray
    column: int
    begins: np.ndarray
    ends: np.ndarray


@dataclass(frozen=True)
class Pair:
    """A beginning and an end."""

    score: np.float32
    text: str
    start_logit: np.float32
    end_logit: np.float32


def plain_answers(
    windows: Sequence[Window], settings: AnswerSettings, context: str
) -> tuple[str, list[Pair]]:
    """Return the answer to give, and all that are kept, best first."""
    best = settings.n_best_size
    nothing = min((_no_answer(window) for window in windows), key=lambda pair: pair.score)
    pairs = [pair for window in windows for pair in _pairs(window, settings, context)]
    if settings.allow_no_answer:
        pairs.append(nothing)
    pairs = sorted(pairs, key=lambda pair: pair.score, reverse=True)[:best]
    if settings.allow_no_answer and all(pair.text for pair in pairs):
        pairs.append(nothing)
    texts = [pair for pair in pairs if pair.text]
    if not texts:
        return "", pairs
    difference = nothing.score - texts[0].start_logit - texts[0].end_logit
    if settings.allow_no_answer and difference > settings.null_score_diff_threshold:
        return "", pairs
    return texts[0].text, pairs


def _no_answer(window: Window) -> Pair:
    start, end = window.start_logits[0], window.end_logits[0]
    return Pair(start + end, "", start, end)


def _pairs(window: Window, settings: AnswerSettings, context: str) -> list[Pair]:
    found = []
    for first, last in product(
        _largest(window.start_logits, settings.n_best_size),
        _largest(window.end_logits, settings.n_best_size),
    ):
        a, b = first - window.column, last - window.column
        if 0 <= a <= b < len(window.begins) and b - a + 1 <= settings.max_answer_length:
            start, end = window.start_logits[first], window.end_logits[last]
            text = context[window.begins[a] : window.ends[b]]
            found.append(Pair(start + end, text, start, end))
    return found


def _largest(scores: np.ndarray, count: int) -> list[int]:
    return sorted(range(len(scores)), key=lambda place: -scores[place])[:count]
