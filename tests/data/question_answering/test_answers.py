"""Answers out of scores, against a plain statement of the rules of transformers."""

import numpy as np
import pytest

from mindmlm.data.question_answering.answers import AnswerRanking, AnswerSettings
from mindmlm.testing.answer_rules import Window, plain_answers

CONTEXT = "".join(chr(ord("a") + n % 26) for n in range(60))


def windows(seed: int) -> list[Window]:
    """Random scores of some windows of one question."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(int(rng.integers(1, 4))):
        tokens, column = int(rng.integers(1, 15)), int(rng.integers(2, 6))
        scores = rng.normal(0, 3, (2, tokens + column + int(rng.integers(1, 5))))
        begins = 5 * number + np.arange(tokens)
        ends = begins + rng.integers(1, 2, tokens)
        start_logits, end_logits = scores.astype(np.float32)
        found.append(Window(start_logits, end_logits, column, begins, ends))
    return found


@pytest.mark.parametrize("seed", range(60))
def test_answers_are_those_of_a_plain_statement(seed: int) -> None:
    rng = np.random.default_rng(1000 + seed)
    settings = AnswerSettings(
        n_best_size=int(rng.integers(1, 25)),
        max_answer_length=int(rng.integers(1, 12)),
        allow_no_answer=bool(rng.integers(0, 2)),
        null_score_diff_threshold=float(rng.normal(0, 5)),
    )
    found = windows(seed)
    ranking = AnswerRanking(settings)
    for window in found:
        ranking.add(*vars(window).values())
    text, kept = plain_answers(found, settings, CONTEXT)
    answers = ranking.answers(CONTEXT)
    assert [(a.text, a.start_logit, a.end_logit) for a in answers if kept] == [
        (pair.text, float(pair.start_logit), float(pair.end_logit)) for pair in kept
    ]
    assert all(CONTEXT[answer.start : answer.end] == answer.text for answer in answers)
    if kept:
        sums = np.array([pair.score for pair in kept])
        odds = np.exp(sums - sums.max())
        np.testing.assert_allclose([a.score for a in answers], odds / odds.sum(), rtol=1e-6)
    chosen = ranking.chosen(CONTEXT)
    assert chosen[0].text == text
    assert sorted(map(repr, chosen)) == sorted(map(repr, answers))


def test_the_settings_change_the_answer() -> None:
    starts = np.array([1.0, 0, 9, 8, 0, 0], np.float32)
    ends = np.array([1.0, 0, 0, 7, 0, 9], np.float32)
    places = np.arange(4)

    def answer(**settings: object) -> str:
        ranking = AnswerRanking(AnswerSettings(**settings))
        ranking.add(starts, ends, 2, places, places + 1)
        return ranking.chosen("abcd")[0].text

    assert answer() == "abcd"
    assert answer(max_answer_length=3) == "bcd"
    assert answer(max_answer_length=2) == "ab"
    assert answer(allow_no_answer=True) == "abcd"
    assert answer(allow_no_answer=True, null_score_diff_threshold=-17.0) == ""
    assert answer(allow_no_answer=True, null_score_diff_threshold=-16.0) == "abcd"


def test_without_a_possible_answer_there_is_an_empty_one() -> None:
    for allow in (False, True):
        ranking = AnswerRanking(AnswerSettings(n_best_size=1, allow_no_answer=allow))
        ranking.add(
            np.array([9.0, 0, 0], np.float32),
            np.zeros(3, np.float32),
            2,
            np.array([0]),
            np.array([1]),
        )
        (found,) = ranking.chosen("a")
        assert (found.text, found.score) == ("", 1.0)
