"""Prediction with a checkpoint."""

from typing import Any

from mindmlm import build
from mindmlm.config import LoadedConfig
from mindmlm.jobs.session import meet
from mindmlm.jobs.start import checkpoint_tokenizer, load_checkpoint


def predict(loaded: LoadedConfig) -> list[dict[str, Any]]:
    """Answer `predict_data` with a checkpoint's model: blanks that are filled, texts that go on.

    Nothing is written: the output folder may belong to a run that is training.

    Returns:
        A dict for each answer; the same on all ranks.

    Raises:
        ConfigError, DataError, CheckpointError: see their messages.
    """
    device, met = meet(loaded)
    device.log()
    session, checkpoint = load_checkpoint(met)
    config = session.config
    tokenizer = checkpoint_tokenizer(config, checkpoint)
    model = build.build_model(config, tokenizer, session.place)
    build.load_model(model, checkpoint)
    task = build.task_of(config)
    return task.predictor(model, tokenizer, session.agreement)(task.inputs(config.predict_data))
