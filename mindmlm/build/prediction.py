"""Prediction with a trained model."""

from pathlib import Path

from mindmlm.build.model import ModelOnRank
from mindmlm.config.schema import RunConfig
from mindmlm.errors import ConfigError
from mindmlm.inference.fill_mask import FillMask
from mindmlm.tokenizers.bert import BertTokenizer


def build_fill_mask(config: RunConfig, model: ModelOnRank, tokenizer: BertTokenizer) -> FillMask:
    """Prediction of blanks."""
    positions = config.model.settings.max_position_embeddings
    return FillMask(model.cell, tokenizer, positions, config.runner_config.batch_size)


def read_texts(predict_data: str | list[str]) -> list[str]:
    """The texts to predict: a list, the lines of a text file, or one text.

    Raises:
        ConfigError: the file has no text in it.
    """
    if isinstance(predict_data, list):
        return predict_data
    if not _names_a_file(predict_data):
        return [predict_data]
    try:
        lines = Path(predict_data).read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise ConfigError(f"predict_data: {predict_data} is not UTF-8 text: {error}") from None
    texts = [line.strip() for line in lines if line.strip()]
    if not texts:
        raise ConfigError(f"predict_data: {predict_data} has no text in it")
    return texts


def _names_a_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):
        return False
