"""Question answering."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
from mindspore import nn

from mindmlm.build.model import ModelOnRank
from mindmlm.build.tasks.base import EvaluationBatches, Task, TrainingBatches
from mindmlm.build_data.questions import answer_settings, feature_settings, question_files
from mindmlm.data.batches import BatchLayout
from mindmlm.data.question_answering.batches import (
    QuestionBatch,
    QuestionEvalBatches,
    QuestionTrainBatches,
    RowForm,
)
from mindmlm.data.question_answering.corpus import (
    PreparedQuestions,
    QuestionFiles,
    prepare_evaluation_questions,
    prepare_questions,
)
from mindmlm.data.question_answering.inputs import read_asked
from mindmlm.data.question_answering.metrics import METRICS
from mindmlm.data.question_answering.report import WITHOUT_ANSWER, QuestionReport
from mindmlm.data.question_answering.store import QuestionStore
from mindmlm.data.sampler import GlobalOrder
from mindmlm.errors import DataError
from mindmlm.inference.question_answering import QuestionAnswering
from mindmlm.models.bert.question_answering import BertForQuestionAnswering
from mindmlm.models.spans import Span
from mindmlm.parallel.agreement import Agreement
from mindmlm.parallel.micro_batch import MicroBatch
from mindmlm.parallel.pipeline import StageForward
from mindmlm.runtime.run_folder import RunFolder
from mindmlm.tasks.qa import (
    QuestionAnsweringEvaluation,
    QuestionAnsweringLoss,
    QuestionAnsweringPart,
    batch_arrays,
)
from mindmlm.tokenizers.bert import BertTokenizer
from mindmlm.training.question_evaluation import QuestionEvaluator


class QuestionAnsweringTask(Task):
    """Finding the answer to a question in a text; see `mindmlm.tasks.qa`."""

    def data(self, spool_dir: Path) -> QuestionFiles:
        """See `Task`."""
        return question_files(self.config)

    def prepare(
        self, data: QuestionFiles, tokenizer: BertTokenizer, cache_dir: Path, progress: bool
    ) -> PreparedQuestions:
        """See `Task`."""
        prepared = prepare_questions(data, tokenizer, cache_dir, progress)
        self._check_answers(prepared.reports["evaluation"])
        return prepared

    def prepare_evaluation(
        self, data: QuestionFiles, tokenizer: BertTokenizer, cache_dir: Path, progress: bool
    ) -> tuple[QuestionStore, QuestionReport]:
        """See `Task`."""
        store, report = prepare_evaluation_questions(data, tokenizer, cache_dir, progress)
        self._check_answers(report)
        return store, report

    def _check_answers(self, report: QuestionReport) -> None:
        """Only the rules of SQuAD 2.0 know what a right answer is where there is none.

        Raises:
            DataError: there are such questions, and other rules are asked for.
        """
        count = report.notes[WITHOUT_ANSWER]
        if count and self.config.metric.version != "squad_v2":
            raise DataError(
                f"{report.file}: {count} questions have no answer (first: "
                f"{report.examples[WITHOUT_ANSWER]}), as in SQuAD 2.0; judge by its rules with "
                "--metric.version squad_v2"
            )

    def part(self, model: nn.Cell, span: Span | None) -> nn.Cell:
        """See `Task`."""
        return QuestionAnsweringPart(model, span)

    def loss(self, model: nn.Cell, span: Span) -> nn.Cell:
        """See `Task`."""
        return QuestionAnsweringLoss(model, span)

    def evaluation(self, model: nn.Cell) -> nn.Cell:
        """See `Task`."""
        return QuestionAnsweringEvaluation(model)

    def train_batches(
        self, store: QuestionStore, tokenizer: BertTokenizer, layout: BatchLayout, steps: int
    ) -> TrainingBatches:
        """See `Task`."""
        section = self.config.train_dataset
        seed = self.config.seed if section.seed is None else section.seed
        order = GlobalOrder(store.num_samples, seed, section.data_loader.shuffle)
        return QuestionTrainBatches(store, order, layout, self._form(tokenizer))

    def row_lengths(self) -> list[int]:
        """See `Task`."""
        return [self.config.train_dataset.max_seq_length]

    def row_length(self, batch: QuestionBatch) -> int:
        """See `Task`."""
        return batch.input_ids.shape[1]

    def micro_batch(
        self, batch: QuestionBatch, own: slice, keeps: tuple[np.ndarray, ...]
    ) -> MicroBatch:
        """See `Task`; each row counts as one."""
        return MicroBatch(
            inputs=tuple(array[own] for array in batch_arrays(batch)),
            keeps=keeps,
            counts=(float(batch.weights[own].sum()),),
            tokens=int(batch.input_mask[own].sum()),
            rows=batch.input_ids[own].size,
        )

    def evaluation_batches(
        self, store: QuestionStore, tokenizer: BertTokenizer, batch_size: int
    ) -> EvaluationBatches:
        """See `Task`."""
        return QuestionEvalBatches(store, batch_size, self._form(tokenizer))

    def evaluation_arrays(self, batch: QuestionBatch) -> tuple[np.ndarray, ...]:
        """See `Task`."""
        return batch_arrays(batch)

    def evaluator(
        self,
        forward: StageForward,
        store: QuestionStore,
        tokenizer: BertTokenizer,
        agreement: Agreement,
        batch_size: int,
    ) -> QuestionEvaluator:
        """See `Task`; the windows of a question are on one data-parallel rank."""
        place = agreement.place
        batches = QuestionEvalBatches(
            store, batch_size, self._form(tokenizer), place.at.data, place.layout.data_parallel
        )
        return QuestionEvaluator(
            forward,
            batches,
            store,
            answer_settings(self.config),
            METRICS[self.config.metric.version],
            agreement,
            RunFolder(Path(self.config.output_dir)).predictions,
        )

    def inputs(self, predict_data: Any) -> list[Any]:
        """See `Task`."""
        return list(read_asked(predict_data))

    def predictor(
        self, model: ModelOnRank, tokenizer: BertTokenizer, agreement: Agreement
    ) -> Callable[[Sequence[Any]], list[Any]]:
        """See `QuestionAnswering`; the model must be whole."""
        return QuestionAnswering(
            cast(BertForQuestionAnswering, model.cell),
            tokenizer,
            feature_settings(self.config),
            answer_settings(self.config),
            self.config.runner_config.batch_size,
            self.config.metric.top_k,
        )

    def _form(self, tokenizer: BertTokenizer) -> RowForm:
        return RowForm.of(tokenizer, self.config.train_dataset.max_seq_length)
