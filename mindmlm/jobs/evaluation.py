"""Evaluation of a checkpoint."""

import logging
from pathlib import Path

from mindmlm import build
from mindmlm.config import LoadedConfig
from mindmlm.config.checks.qa import answers_questions
from mindmlm.config.schema import RunConfig
from mindmlm.jobs.given import NOTHING, Given
from mindmlm.jobs.session import open_session
from mindmlm.jobs.trained import trained_model
from mindmlm.training.metrics import MetricsWriter

logger = logging.getLogger(__name__)


def evaluate(loaded: LoadedConfig, given: Given = NOTHING) -> dict[str, float]:
    """Evaluate a checkpoint on the held-out text; the line is appended to `metrics.jsonl`.

    Args:
        loaded: the configuration.
        given: objects beside the configuration.

    Returns:
        The same on all ranks.

    Raises:
        ConfigError, DataError, CheckpointError: see their messages.
    """
    with open_session(loaded) as opened:
        trained = trained_model(opened, given)
        session, tokenizer = trained.session, trained.tokenizer
        config, folder, place = session.config, session.folder, session.place
        _warn_of_training_text(config, trained.trained_on)
        with session.main_first():
            cache = folder.dataset_cache
            store, report = build.task_of(config).prepare_evaluation(
                build.corpus_settings(config, cache), tokenizer, cache, progress=place.is_main
            )
        logger.info("evaluation text: %s", report.summary())
        evaluator = build.build_evaluator(
            config, trained.model, store, tokenizer, session.agreement
        )
        line = given.measured(evaluator.run()).metrics(trained.step)
        if place.is_main:
            with MetricsWriter(folder.metrics) as writer:
                writer.write(line)
        return line


def _warn_of_training_text(config: RunConfig, trained: RunConfig | None) -> None:
    """Say so when the text to judge on is the one the weights were trained on."""
    trained_on = trained.train_dataset.data_loader.dataset_dir if trained else ""
    judged_on = config.eval_dataset.data_loader.dataset_dir
    if answers_questions(config) and Path(judged_on).is_dir():
        return  # it holds a file for training and another one for evaluation
    if judged_on and trained_on and Path(judged_on).resolve() == Path(trained_on).resolve():
        logger.warning(
            "%s is the text this model was trained on, so the numbers flatter it; for the held-out "
            "part alone give --train_dataset.data_loader.dataset_dir instead of --dataset_dir",
            judged_on,
        )
