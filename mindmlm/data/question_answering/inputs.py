"""What a user asks: texts, mappings, or a file of them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mindmlm.data.question_answering.reader import read_paragraphs
from mindmlm.errors import DataError

SEPARATOR = " - "
_KEYS = ("context", "question")
_EXAMPLE = (
    '"My name is Ada and I live in London - Where do I live?", or a mapping with context and '
    "question"
)


@dataclass(frozen=True)
class Asked:
    """A question about a text."""

    context: str
    question: str


def read_asked(predict_data: Any) -> list[Asked]:
    """Return the questions of a text, a mapping, a list of these, or a file.

    A text is divided at its last ` - `, so that the context may hold hyphens. A file that ends in
    `.json` holds mappings, or questions as `read_paragraphs` reads them; any other file has a text
    a line.

    Raises:
        DataError: there is no question, or one is not whole; the message has its number.
    """
    if isinstance(predict_data, str) and _names_a_file(predict_data):
        return _read_file(Path(predict_data))
    items = [predict_data] if isinstance(predict_data, str | Mapping) else list(predict_data)
    return as_asked(items, "predict_data")


def as_asked(items: Sequence[Any], source: str) -> list[Asked]:
    """Return single texts and mappings as questions.

    Args:
        items: see `read_asked`.
        source: for messages.

    Raises:
        DataError: see `read_asked`.
    """
    if not items:
        raise DataError(f"{source}: no question in it; expected {_EXAMPLE}")
    return [_asked(item, f"{source}: question {n}") for n, item in enumerate(items, start=1)]


def _asked(item: Any, place: str) -> Asked:
    if isinstance(item, Asked):
        return item
    if isinstance(item, str):
        context, separator, question = item.rpartition(SEPARATOR)
        if not separator:
            raise DataError(
                f"{place} ({item[:40]!r}) has no ' - ' between the text and the question; expected "
                f"{_EXAMPLE}"
            )
        item = {"context": context, "question": question}
    if not isinstance(item, Mapping) or set(item) != set(_KEYS):
        shown = ", ".join(map(str, item)) if isinstance(item, Mapping) else repr(item)[:40]
        raise DataError(f"{place}: got {shown or 'nothing'}; expected {_EXAMPLE}")
    for key in _KEYS:
        if not isinstance(item[key], str) or not item[key].strip():
            raise DataError(f"{place}: {key} is {item[key]!r}; expected a text")
    return Asked(item["context"], item["question"])


def _read_file(path: Path) -> list[Asked]:
    if path.suffix.lower() != ".json":
        lines = _text(path).split("\n")
        return as_asked([line.strip() for line in lines if line.strip()], str(path))
    try:
        content = json.loads(_text(path))
    except ValueError as error:
        raise DataError(f"{path}: no JSON: {error}") from None
    if isinstance(content, Mapping) and set(content) == set(_KEYS):
        content = [content]
    first = content[0] if isinstance(content, list) and content else None
    if isinstance(content, Mapping) or (isinstance(first, Mapping) and "qas" in first):
        return [
            Asked(paragraph.context, question.text)
            for paragraph in read_paragraphs(path)
            for question in paragraph.questions
        ]
    return as_asked(content if isinstance(content, list) else [content], str(path))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as UTF-8 text: {error}") from None


def _names_a_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):
        return False
