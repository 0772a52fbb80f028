"""From the scores of a row's columns to answers.

As `postprocess_qa_predictions` of huggingface/transformers, examples/pytorch/question-answering/
utils_qa.py: the best starts are paired with the best ends, the pairs of all windows are ranked by
the sum of their two scores, and probabilities are a softmax over those that are kept.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class AnswerSettings:
    """Which answers come into question.

    Attributes:
        n_best_size: starts and ends looked at in a window, and answers kept of a question.
        max_answer_length: tokens of an answer.
        allow_no_answer: that there is none is an answer too, as in SQuAD 2.0.
        null_score_diff_threshold: how much better no answer has to score than the best one.
    """

    n_best_size: int = 20
    max_answer_length: int = 30
    allow_no_answer: bool = False
    null_score_diff_threshold: float = 0.0


@dataclass(frozen=True)
class RankedAnswer:
    """An answer.

    Attributes:
        text: as it stands in the context; empty = no answer.
        score: probability among the answers that were kept.
        start, end: first character in the context and the one behind the last.
        start_logit, end_logit: scores of its columns.
    """

    text: str
    score: float
    start: int
    end: int
    start_logit: float
    end_logit: float


@dataclass(frozen=True)
class _Pairs:
    """Candidates [n]: characters, scores of start and end, and their sum (all float32)."""

    starts: np.ndarray
    ends: np.ndarray
    start_logits: np.ndarray
    end_logits: np.ndarray

    @property
    def sums(self) -> np.ndarray:
        return self.start_logits + self.end_logits

    def best(self, count: int) -> "_Pairs":
        """The best ones first; equal ones stay in their order."""
        order = np.argsort(-self.sums, kind="stable")[:count]
        return _Pairs(*(values[order] for values in vars(self).values()))

    def __add__(self, other: "_Pairs") -> "_Pairs":
        both = zip(vars(self).values(), vars(other).values(), strict=True)
        return _Pairs(*(np.concatenate(pair) for pair in both))


class AnswerRanking:
    """Collects the windows of one question.

    Args:
        settings: see `AnswerSettings`.
    """

    def __init__(self, settings: AnswerSettings) -> None:
        self._settings = settings
        none = np.zeros(0, np.int64)
        self._pairs = _Pairs(none, none, np.zeros(0, np.float32), np.zeros(0, np.float32))
        self._no_answer: _Pairs | None = None

    def add(
        self,
        start_logits: np.ndarray,
        end_logits: np.ndarray,
        column: int,
        begins: np.ndarray,
        ends: np.ndarray,
    ) -> None:
        """Take the scores of one window.

        Args:
            start_logits, end_logits: float32 [L], of all columns of its row.
            column: of the first token of the window.
            begins, ends: [n] characters of the tokens of the window in the context.
        """
        self._add_no_answer(start_logits[:1], end_logits[:1])
        best = self._settings.n_best_size
        # The order of equal scores is that of numpy's default, as in the original.
        firsts = np.argsort(start_logits)[-1 : -best - 1 : -1] - column
        lasts = np.argsort(end_logits)[-1 : -best - 1 : -1] - column
        first, last = (side.reshape(-1) for side in np.meshgrid(firsts, lasts, indexing="ij"))
        count = len(begins)
        possible = (first >= 0) & (first < count) & (last < count)
        possible &= (last >= first) & (last - first < self._settings.max_answer_length)
        first, last = first[possible], last[possible]
        found = _Pairs(
            begins[first].astype(np.int64),
            ends[last].astype(np.int64),
            start_logits[first + column],
            end_logits[last + column],
        )
        self._pairs = (self._pairs + found).best(best)

    def _add_no_answer(self, start_logit: np.ndarray, end_logit: np.ndarray) -> None:
        nothing = np.zeros(1, np.int64)
        new = _Pairs(nothing, nothing, start_logit, end_logit)
        if self._no_answer is None or new.sums[0] < self._no_answer.sums[0]:
            self._no_answer = new

    def answers(self, context: str) -> list[RankedAnswer]:
        """Return the answers, best first; at least one, which may be empty."""
        pairs, best = self._pairs, self._settings.n_best_size
        if self._settings.allow_no_answer and self._no_answer is not None:
            pairs = (pairs + self._no_answer).best(best)
            if not (pairs.ends == 0).any():
                pairs = pairs + self._no_answer
        if not len(pairs.starts):
            return [RankedAnswer("", 1.0, 0, 0, 0.0, 0.0)]
        sums = pairs.sums
        shifted = np.exp(sums - sums.max())
        scores = shifted / shifted.sum()
        rows = zip(
            scores.tolist(), *(values.tolist() for values in vars(pairs).values()), strict=True
        )
        return [
            RankedAnswer(context[start:end], p, start, end, s, e) for p, start, end, s, e in rows
        ]

    def chosen(self, context: str) -> list[RankedAnswer]:
        """Return the answers, the one to give first.

        That is the best one; where no answer is allowed, it comes first if it scores more than
        `null_score_diff_threshold` above the best answer, and behind that one otherwise.
        """
        ranked = self.answers(context)
        if not self._settings.allow_no_answer:
            return ranked
        texts = [answer for answer in ranked if answer.text]
        if not texts:
            return ranked
        assert self._no_answer is not None
        best = texts[0]
        difference = float(self._no_answer.sums[0]) - best.start_logit - best.end_logit
        empty = next(answer for answer in ranked if not answer.text)
        no_answer = difference > self._settings.null_score_diff_threshold
        first = empty if no_answer else best
        return [first, *(answer for answer in ranked if answer is not first)]
