"""The texts that a prediction is for."""

from pathlib import Path

from mindmlm.errors import ConfigError


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
