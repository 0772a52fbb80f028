"""Prediction with a checkpoint."""

from collections.abc import Callable, Sequence
from typing import Any

from mindmlm import build
from mindmlm.config import LoadedConfig
from mindmlm.jobs.given import NOTHING, Given
from mindmlm.jobs.session import meet
from mindmlm.jobs.trained import trained_model

Predictor = Callable[[Sequence[Any]], list[dict[str, Any]]]


def predict(loaded: LoadedConfig, given: Given = NOTHING) -> list[dict[str, Any]]:
    """Answer `predict_data` with a checkpoint's model: blanks that are filled, texts that go on.

    Nothing is written: the output folder may belong to a run that is training.

    Returns:
        A dict for each answer; the same on all ranks.

    Raises:
        ConfigError, DataError, CheckpointError: see their messages.
    """
    assert loaded.config.predict_data is not None
    inputs = build.task_of(loaded.config).inputs(loaded.config.predict_data)
    return open_predictor(loaded, given)(inputs)


def open_predictor(loaded: LoadedConfig, given: Given = NOTHING) -> Predictor:
    """Load the model once, for any number of questions.

    Returns:
        What answers a list of inputs of the task, as `predict` does.

    Raises:
        ConfigError, DataError, CheckpointError: see their messages.
    """
    device, met = meet(loaded)
    device.log()
    trained = trained_model(met, given)
    task = build.task_of(trained.session.config)
    return task.predictor(trained.model, trained.tokenizer, trained.session.agreement)
