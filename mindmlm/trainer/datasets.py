"""Data that a caller has as Python objects, written to a file that a run can name.

So an object is data like any other: prepared once, shared by all ranks, known by its contents when
a run is resumed, and there for the command line too.
"""

import hashlib
import json
import uuid
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tqdm import tqdm

from mindmlm.errors import ConfigError, DataError
from mindmlm.runtime.files import new_file, sync_directory

TEXTS, QUESTIONS = "texts", "questions"
TEXT_FIELD = "text"
_SHOWN_CHARACTERS = 60
# Reading fewer takes less time than looking at a bar.
_SECONDS_WITHOUT_BAR = 2.0


def write_dataset(items: Iterable[Any], kind: str, folder: Path) -> Path:
    """Write a data set to a file that is named after its contents; it is read once, as a stream.

    Args:
        items: `TEXTS`: a text each, or a mapping with a text under "text". `QUESTIONS`: a mapping
            each with "question", "context" and "answers" as SQuAD has them ("id" besides), or an
            article of SQuAD with "paragraphs"; or, in place of all, the whole of SQuAD's JSON.
        kind: `TEXTS` or `QUESTIONS`.
        folder: made when missing.

    Returns:
        A `.jsonl` file of texts, or a `.json` file in the layout of SQuAD.

    Raises:
        DataError: an item is none; the message has its number, from 1.
        ConfigError: `items` cannot be looped over, or the file cannot be written.
    """
    if isinstance(items, Mapping):
        items = items.get("data", [items])
    if not isinstance(items, Iterable):
        raise ConfigError(f"a data set is a path or a sequence of {kind}, got {items!r:.60}")
    parts = _texts(items) if kind == TEXTS else _questions(items)
    try:
        return _write(parts, folder, ".jsonl" if kind == TEXTS else ".json")
    except OSError as error:
        raise ConfigError(
            f"{folder}: the data set cannot be written: {error.strerror}; choose another output_dir"
        ) from None


def _write(parts: Iterator[str], folder: Path, suffix: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f"{uuid.uuid4().hex}.tmp"
    digest = hashlib.blake2b(digest_size=16)
    try:
        with new_file(temporary) as file:
            for part in parts:
                data = part.encode("utf-8")
                digest.update(data)
                file.write(data)
        # Ranks that write the same contents side by side replace each other's equal file.
        path = folder / f"{digest.hexdigest()}{suffix}"
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_directory(folder)
    return path


def _counted(items: Iterable[Any]) -> Iterator[tuple[int, Any]]:
    bar = tqdm(items, desc="taking over data", unit=" items", delay=_SECONDS_WITHOUT_BAR)
    return enumerate(bar, start=1)


def _texts(items: Iterable[Any]) -> Iterator[str]:
    number = 0
    for number, item in _counted(items):
        text = item.get(TEXT_FIELD) if isinstance(item, Mapping) else item
        if not isinstance(text, str):
            raise DataError(
                f"item {number} of the data set is {_shown(item)}; expected a text, or a mapping "
                f"with a text under {TEXT_FIELD!r}"
            )
        yield _line({TEXT_FIELD: text}) + "\n"
    if number == 0:
        raise DataError("the data set is empty; expected texts")


def _questions(items: Iterable[Any]) -> Iterator[str]:
    number = 0
    yield '{"data": ['
    for number, item in _counted(items):
        article = _article(item, number)
        yield (",\n" if number > 1 else "\n") + _line(article)
    if number == 0:
        raise DataError("the data set is empty; expected questions")
    yield "\n]}\n"


def _article(item: Any, number: int) -> dict[str, Any]:
    """Return an article of SQuAD for an item; its values are checked where the file is read."""
    if isinstance(item, Mapping) and "paragraphs" in item:
        return dict(item)
    if not isinstance(item, Mapping) or not {"question", "context"} <= item.keys():
        raise DataError(
            f"item {number} of the data set is {_shown(item)}; expected a mapping with 'question', "
            "'context' and 'answers', or an article with 'paragraphs'"
        )
    question = {
        "id": str(item.get("id", number)),
        "question": item["question"],
        "answers": _answers(item.get("answers", []), number),
    }
    if "is_impossible" in item:
        question["is_impossible"] = item["is_impossible"]
    return {
        "title": str(item.get("title", "")),
        "paragraphs": [{"context": item["context"], "qas": [question]}],
    }


def _answers(answers: Any, number: int) -> list[Any]:
    """Return answers as SQuAD's files have them; Hugging Face's have lists of texts and starts."""
    if not isinstance(answers, Mapping):
        return list(answers)
    texts, starts = list(answers.get("text", [])), list(answers.get("answer_start", []))
    if len(texts) != len(starts):
        raise DataError(
            f"item {number} of the data set has {len(texts)} answers and {len(starts)} places of "
            "answers (answer_start)"
        )
    pairs = zip(texts, starts, strict=True)
    return [{"text": text, "answer_start": start} for text, start in pairs]


def _line(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError) as error:
        raise DataError(f"the data set holds {_shown(value)}, which is no JSON: {error}") from None


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 3] + "..."
