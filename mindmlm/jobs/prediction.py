"""Prediction with a checkpoint."""

from typing import Any

from mindmlm import build
from mindmlm.config import LoadedConfig
from mindmlm.jobs.session import start_device
from mindmlm.jobs.start import checkpoint_tokenizer, find_checkpoint


def predict(loaded: LoadedConfig) -> list[dict[str, Any]]:
    """Fill the blanks of `predict_data` with a checkpoint's model; see `FillMask`.

    One process does it: a checkpoint of any layout loads into one.

    Raises:
        ConfigError, DataError, CheckpointError: see their messages.
    """
    config = loaded.config
    start_device(loaded).log()
    checkpoint = find_checkpoint(config)
    tokenizer = checkpoint_tokenizer(config, checkpoint)
    model = build.build_model(config, tokenizer)
    build.load_model(model, checkpoint)
    assert config.predict_data is not None
    return build.build_fill_mask(config, model, tokenizer)(build.read_texts(config.predict_data))
