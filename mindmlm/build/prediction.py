"""The texts that a prediction is for."""

from pathlib import Path
from typing import Any

from mindmlm.errors import ConfigError


def read_texts(predict_data: Any) -> list[str]:
    """The texts to predict: a list, the lines of a text file, or one text.

    Raises:
        ConfigError: the file has no text in it, or something is a mapping.
    """
    given = predict_data if isinstance(predict_data, list) else [predict_data]
    if any(isinstance(item, dict) for item in given):
        raise ConfigError(
            "predict_data: a mapping with context and question is for question answering "
            "(model.arch.type BertForQuestionAnswering); give texts"
        )
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
