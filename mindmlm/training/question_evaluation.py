"""Evaluation of question answering: answers of all windows together, then exact match and F1."""

import json
import logging
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tqdm import tqdm

from mindmlm.data.question_answering.answers import AnswerRanking, AnswerSettings
from mindmlm.data.question_answering.batches import QuestionBatch, QuestionEvalBatches
from mindmlm.data.question_answering.metrics import AnswerMetric
from mindmlm.data.question_answering.store import QuestionStore
from mindmlm.parallel.agreement import Agreement
from mindmlm.parallel.pipeline import StageForward
from mindmlm.runtime.files import write_text_atomic
from mindmlm.tasks.qa import batch_arrays
from mindmlm.training.evaluation import EvaluationResult

logger = logging.getLogger(__name__)
# [CLS] and [SEP] stand before the window, beside the question.
_SPECIAL_BEFORE = 2


@dataclass
class _Found:
    """What one rank has found of its questions.

    Attributes:
        predictions: question id -> text.
        exact_match, f1: of each question, from 0 to 1.
        losses: of each batch, summed over rows.
        rows: that have a loss.
    """

    predictions: dict[str, str] = field(default_factory=dict)
    exact_match: list[float] = field(default_factory=list)
    f1: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    rows: float = 0.0

    def sums(self) -> list[float]:
        """Loss, rows, exact match, F1, questions."""
        scores = (math.fsum(self.exact_match), math.fsum(self.f1))
        return [math.fsum(self.losses), self.rows, *scores, float(len(self.predictions))]


class QuestionEvaluator:
    """Answers every question once, on any number of ranks, and compares with the right answers.

    Args:
        forward: (x, *arrays of a batch) -> (scores [2, batch, sequence], loss sum).
        batches: of this rank: all windows of its questions.
        store: what they are made of.
        settings: which answers come into question.
        metric: how they are judged.
        agreement: with the other ranks, which have the other questions.
        predictions: file that the answers are written to, `{question id: text}`.
    """

    def __init__(
        self,
        forward: StageForward,
        batches: QuestionEvalBatches,
        store: QuestionStore,
        settings: AnswerSettings,
        metric: AnswerMetric,
        agreement: Agreement,
        predictions: Path,
    ) -> None:
        self.forward = forward
        self._batches = batches
        self._store = store
        self._settings = settings
        self._metric = metric
        self._agreement = agreement
        self._predictions = predictions

    def run(self) -> EvaluationResult:
        """Go through all questions; dropout is off.

        Returns:
            `exact_match` and `f1` in percent, `loss` of the rows whose answer has a place.
        """
        self.forward.cell.set_train(False)
        found = _Found()
        for question, ranking in self._rankings(found):
            self._judge(question, ranking, found)
        sums = self._agreement.sums(found.sums(), self._agreement.place.has_loss)
        loss, rows, exact_match, f1, questions = sums
        self._write(found.predictions)
        scores = {"exact_match": 100.0 * exact_match / questions, "f1": 100.0 * f1 / questions}
        logger.info("QA Metric = %s", {"QA Metric": scores})
        values = {"loss": loss / max(rows, 1.0), **scores}
        return EvaluationResult(values, round(questions), "questions")

    def _rankings(self, found: _Found) -> Iterator[tuple[int, AnswerRanking]]:
        """Yield the questions of this rank with the answers of all their windows.

        One question is held at a time: the windows of a question follow each other.
        """
        current: int | None = None
        ranking = AnswerRanking(self._settings)
        for batch, scores in self._scored(found):
            for row, number in enumerate(batch.feature_ids.tolist()):
                if number < 0:
                    continue
                feature = self._store.feature(number)
                if current is not None and current != feature.question:
                    yield current, ranking
                    ranking = AnswerRanking(self._settings)
                current = feature.question
                context = self._store.context(current)
                window = slice(feature.first, feature.stop)
                ranking.add(
                    scores[0, row],
                    scores[1, row],
                    len(self._store.question_tokens(current)) + _SPECIAL_BEFORE,
                    context.begins[window],
                    context.ends[window],
                )
        if current is not None:
            yield current, ranking

    def _scored(self, found: _Found) -> Iterator[tuple[QuestionBatch, np.ndarray]]:
        """Yield batches with their scores, on the last stage; the others only pass them on."""
        hidden = not (self._agreement.place.is_main and sys.stderr.isatty())
        bar = tqdm(self._batches, "answering", len(self._batches), leave=False, disable=hidden)
        for batch in bar:
            outputs = self.forward(batch_arrays(batch), batch.input_ids.size)
            if outputs is None:
                continue
            scores, loss = outputs
            found.losses.append(float(loss.asnumpy()))
            found.rows += float(batch.weights.sum())
            yield batch, scores.asnumpy()

    def _judge(self, question: int, ranking: AnswerRanking, found: _Found) -> None:
        text = ranking.chosen(self._store.context_text(question))[0].text
        answers = self._store.answers(question)
        found.predictions[self._store.question_id(question)] = text
        found.exact_match.append(self._metric.exact_match(answers, text))
        found.f1.append(self._metric.f1(answers, text))

    def _write(self, predictions: dict[str, str]) -> None:
        place = self._agreement.place
        parts = self._agreement.texts(json.dumps(predictions if place.has_loss else {}))
        if place.is_main:
            whole = {key: text for part in parts for key, text in json.loads(part).items()}
            self._predictions.parent.mkdir(parents=True, exist_ok=True)
            lines = json.dumps(whole, ensure_ascii=False, indent=2)
            write_text_atomic(self._predictions, lines + "\n")
