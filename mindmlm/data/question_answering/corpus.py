"""The questions of a run: for training and for evaluation."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from mindmlm.data.question_answering.prepare import FeatureSettings, QuestionJob
from mindmlm.data.question_answering.report import QuestionReport
from mindmlm.data.question_answering.store import QuestionStore
from mindmlm.errors import DataError
from mindmlm.tokenizers.bert import BertTokenizer


@dataclass(frozen=True)
class QuestionFiles:
    """Which file is for training and which for evaluation.

    Attributes:
        train: None only where evaluation is all that is wanted.
        evaluation: None = paragraphs held out from the training file.
        num_samples, eval_num_samples: most questions read; None = all.
        holdout_fraction: part of the paragraphs held out.
        features: how questions become rows.
    """

    train: Path | None
    evaluation: Path | None = None
    num_samples: int | None = None
    eval_num_samples: int | None = None
    holdout_fraction: float = 0.05
    features: FeatureSettings = field(default_factory=FeatureSettings)


@dataclass(frozen=True)
class PreparedQuestions:
    """Stores ready to be read, and what was found in the files."""

    train: QuestionStore
    evaluation: QuestionStore
    reports: dict[str, QuestionReport]

    @property
    def fingerprint(self) -> str:
        """Hexadecimal digest of the contents of both stores."""
        both = self.train.fingerprint + self.evaluation.fingerprint
        return hashlib.blake2b(both.encode(), digest_size=16).hexdigest()

    def summary(self) -> str:
        """Return the reports as text for people."""
        return "\n".join(f"{name}: {report.summary()}" for name, report in self.reports.items())


def prepare_questions(
    files: QuestionFiles, tokenizer: BertTokenizer, cache_dir: Path, progress: bool = False
) -> PreparedQuestions:
    """Tokenize both sides, or open what an earlier run prepared; see `QuestionJob`.

    Raises:
        DataError: a faulty file, or nothing in it that can be used.
    """
    if files.train is None:
        raise DataError("no questions for training; give a file or folder with --dataset_dir")
    training = QuestionJob(
        files.train,
        tokenizer,
        files.features,
        files.num_samples,
        for_training=True,
        held_out=0.0 if files.evaluation else files.holdout_fraction,
        progress=progress,
    )
    train, report = training.prepare(cache_dir)
    evaluation, eval_report = prepare_evaluation_questions(files, tokenizer, cache_dir, progress)
    reports = {"training": report, "evaluation": eval_report}
    return PreparedQuestions(train, evaluation, reports)


def prepare_evaluation_questions(
    files: QuestionFiles, tokenizer: BertTokenizer, cache_dir: Path, progress: bool = False
) -> tuple[QuestionStore, QuestionReport]:
    """Prepare the evaluation side alone; arguments and errors as for `prepare_questions`."""
    path = files.evaluation or files.train
    if path is None:
        raise DataError("no questions for evaluation; give a file or folder with --dataset_dir")
    job = QuestionJob(
        path,
        tokenizer,
        files.features,
        files.eval_num_samples,
        held_out=0.0 if files.evaluation else files.holdout_fraction,
        progress=progress,
    )
    return job.prepare(cache_dir)
