"""From a configuration to the files of questions and how they are judged; no MindSpore in here."""

import logging
from pathlib import Path

from mindmlm.build_data.without_effect import keys_without_effect
from mindmlm.config.schema import RunConfig
from mindmlm.data.question_answering.answers import AnswerSettings
from mindmlm.data.question_answering.corpus import QuestionFiles
from mindmlm.data.question_answering.files import find_question_file, question_file
from mindmlm.data.question_answering.prepare import FeatureSettings

logger = logging.getLogger(__name__)


def question_files(config: RunConfig) -> QuestionFiles:
    """Look where the questions are.

    Keys that were set and that nothing reads are explained in the log.

    Raises:
        DataError: a file is not there, or several could be meant.
    """
    for problem in keys_without_effect(config):
        logger.warning("%s %s", problem.path, problem.message)
    place = config.train_dataset.data_loader.dataset_dir
    judged = config.eval_dataset.data_loader.dataset_dir
    evaluation = question_file(judged, "dev") if judged else None
    if evaluation is None and Path(place).is_dir():
        evaluation = find_question_file(place, "dev")
    only_evaluation = evaluation is not None and (config.run_mode == "eval" or not place)
    return QuestionFiles(
        train=None if only_evaluation else question_file(place, "train"),
        evaluation=evaluation,
        num_samples=config.train_dataset.data_loader.num_samples,
        eval_num_samples=config.eval_dataset.data_loader.num_samples,
        holdout_fraction=config.eval_dataset.holdout_fraction,
        features=feature_settings(config),
    )


def feature_settings(config: RunConfig) -> FeatureSettings:
    """Return how questions become rows."""
    section = config.train_dataset
    return FeatureSettings(section.max_seq_length, section.doc_stride, section.max_question_length)


def answer_settings(config: RunConfig) -> AnswerSettings:
    """Return which answers come into question."""
    metric = config.metric
    return AnswerSettings(
        n_best_size=metric.n_best_size,
        max_answer_length=metric.max_answer_length,
        allow_no_answer=metric.version == "squad_v2",
        null_score_diff_threshold=metric.null_score_diff_threshold,
    )
