"""Answering questions about texts."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import mindspore as ms
import numpy as np

from mindmlm.data.question_answering.answers import AnswerRanking, AnswerSettings
from mindmlm.data.question_answering.batches import RowForm, fill_row
from mindmlm.data.question_answering.inputs import as_asked
from mindmlm.data.question_answering.prepare import SPECIAL_TOKENS, FeatureSettings
from mindmlm.data.question_answering.windows import window_bounds
from mindmlm.models.bert.question_answering import BertForQuestionAnswering
from mindmlm.tokenizers.base import TokenizedText
from mindmlm.tokenizers.bert import BertTokenizer

# Question, its tokens, those of its context, first token of a window and the one behind the last.
_Row = tuple[int, np.ndarray, TokenizedText, int, int]


class QuestionAnswering:
    """Finds answers in texts, however long they are.

    Args:
        model: with its weights, whole.
        tokenizer: of the model's vocabulary.
        features: length of rows and overlap of windows. All rows have this length, so that one
            graph is compiled and the answers are those of an evaluation.
        answers: which answers come into question.
        batch_size: rows of one pass.
        top_k: answers to a question.
    """

    def __init__(
        self,
        model: BertForQuestionAnswering,
        tokenizer: BertTokenizer,
        features: FeatureSettings,
        answers: AnswerSettings,
        batch_size: int = 8,
        top_k: int = 1,
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.features = features
        self.answers = answers
        self.batch_size = batch_size
        self.top_k = top_k

    def __call__(self, inputs: Sequence[Any]) -> list[Any]:
        """Answer questions: texts `context - question`, or mappings with these two keys.

        Returns:
            `[{"text", "score", "start", "end"}]` for one question, the best `top_k` answers; a list
            of such lists for several. `start` and `end` are characters of the context (`end` is the
            one behind the last), `score` is the probability among the answers that were kept. No
            answer (SQuAD 2.0) is an empty text.

        Raises:
            DataError: an input is not a question about a text; the message has its number.
        """
        asked = as_asked(inputs, "predict_data")
        contexts = self.tokenizer.encode_batch([item.context for item in asked])
        questions = self.tokenizer.encode_ids([item.question for item in asked])
        longest = self.features.max_question_length
        rows = [
            (number, question[:longest], context, first, stop)
            for number, (question, context) in enumerate(zip(questions, contexts, strict=True))
            for first, stop in self._windows(len(question[:longest]), len(context.ids))
        ]
        results = [
            self._best(ranking, asked[number].context) for number, ranking in self._rankings(rows)
        ]
        return results[0] if len(results) == 1 else results

    def _windows(self, question: int, tokens: int) -> list[tuple[int, int]]:
        room = self.features.max_seq_length - question - SPECIAL_TOKENS
        return window_bounds(tokens, room, self.features.doc_stride)

    def _rankings(self, rows: list[_Row]) -> Iterator[tuple[int, AnswerRanking]]:
        """Yield every question with the answers of all its windows."""
        for number, scored in groupby(self._scored(rows), key=lambda pair: pair[0][0]):
            ranking = AnswerRanking(self.answers)
            for (_, question, context, first, stop), scores in scored:
                begins, ends = context.offsets[first:stop].T
                ranking.add(scores[0], scores[1], len(question) + SPECIAL_TOKENS - 1, begins, ends)
            yield number, ranking

    def _scored(self, rows: list[_Row]) -> Iterator[tuple[_Row, np.ndarray]]:
        """Yield every row with its scores [2, columns]."""
        self.model.set_train(False)
        size = min(self.batch_size, len(rows))
        form = RowForm.of(self.tokenizer, self.features.max_seq_length)
        for start in range(0, len(rows), size):
            some = rows[start : start + size]
            arrays = np.zeros((3, size, form.max_seq_length), np.int32)
            arrays[0] = form.pad_id
            for row, (_, question, context, first, stop) in enumerate(some):
                ids, mask, segments = arrays[:, row]
                fill_row(ids, mask, segments, question, context.ids[first:stop], form)
            scores = self.model(*(ms.Tensor(array) for array in arrays), ()).asnumpy()
            yield from zip(some, scores.transpose(1, 0, 2), strict=False)

    def _best(self, ranking: AnswerRanking, context: str) -> list[dict[str, Any]]:
        return [
            {"text": answer.text, "score": answer.score, "start": answer.start, "end": answer.end}
            for answer in ranking.chosen(context)[: self.top_k]
        ]
