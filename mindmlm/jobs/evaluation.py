"""Evaluation of a checkpoint."""

import logging
from pathlib import Path

from mindmlm import build
from mindmlm.config import LoadedConfig
from mindmlm.config.checks.qa import answers_questions
from mindmlm.config.schema import RunConfig
from mindmlm.jobs.session import open_session
from mindmlm.jobs.start import AnyCheckpoint, checkpoint_tokenizer, load_checkpoint
from mindmlm.training.metrics import MetricsWriter

logger = logging.getLogger(__name__)


def evaluate(loaded: LoadedConfig) -> dict[str, float]:
    """Evaluate a checkpoint on the held-out text; the line is appended to `metrics.jsonl`.

    Returns:
        The same on all ranks.

    Raises:
        ConfigError, DataError, CheckpointError: see their messages.
    """
    with open_session(loaded) as opened:
        session, checkpoint = load_checkpoint(opened)
        config, folder, place = session.config, session.folder, session.place
        tokenizer = checkpoint_tokenizer(config, checkpoint)
        model = build.build_model(config, tokenizer, place)
        build.load_model(model, checkpoint)
        _warn_of_training_text(config, checkpoint)
        with session.main_first():
            cache = folder.dataset_cache
            store, report = build.task_of(config).prepare_evaluation(
                build.corpus_settings(config, cache), tokenizer, cache, progress=place.is_main
            )
        logger.info("evaluation text: %s", report.summary())
        evaluator = build.build_evaluator(config, model, store, tokenizer, session.agreement)
        line = evaluator.run().metrics(checkpoint.step)
        if place.is_main:
            with MetricsWriter(folder.metrics) as writer:
                writer.write(line)
        return line


def _warn_of_training_text(config: RunConfig, checkpoint: AnyCheckpoint) -> None:
    """Say so when the text to judge on is the one the weights were trained on."""
    trained_on = RunConfig.model_validate(checkpoint.config).train_dataset.data_loader.dataset_dir
    judged_on = config.eval_dataset.data_loader.dataset_dir
    if answers_questions(config) and Path(judged_on).is_dir():
        return  # it holds a file for training and another one for evaluation
    if judged_on and trained_on and Path(judged_on).resolve() == Path(trained_on).resolve():
        logger.warning(
            "%s is the text this model was trained on, so the numbers flatter it; for the held-out "
            "part alone give --train_dataset.data_loader.dataset_dir instead of --dataset_dir",
            judged_on,
        )
