"""Files of questions: SQuAD 1.1 and 2.0, and the two layouts of CMRC 2018.

Read as a stream, an article at a time. The first layout is `{"data": [{"paragraphs": [{"context",
"qas": [{"id", "question", "answers": [{"text", "answer_start"}], "is_impossible"}]}]}]}`; CMRC 2018
has it too, and an older one, `[{"context_text", "qas": [{"query_id", "query_text", "answers":
["text"]}]}]`, which says no offsets and so serves for evaluation only.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import ijson

from mindmlm.data.question_answering.examples import Answer, Paragraph, Question
from mindmlm.errors import DataError

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_SQUAD = '{"data": [{"paragraphs": [{"context": ..., "qas": [...]}]}]}'
_KINDS = {str: "a text", int: "a whole number", list: "a list", bool: "true or false"}


def read_paragraphs(path: Path) -> Iterator[Paragraph]:
    """Yield the paragraphs of a file, checked.

    Memory: an article and the ids of all questions.

    Raises:
        DataError: unreadable, no JSON, another layout, or a question that is not whole. The message
            names the file and the question.
    """
    try:
        with path.open("rb") as file:
            yield from _Checked(path).paragraphs(file)
    except OSError as error:
        raise DataError(f"{path}: cannot read the questions: {error.strerror}") from None
    except (ijson.JSONError, UnicodeDecodeError) as error:
        raise DataError(
            f"{path}: not JSON from here on: {' '.join(str(error).split())}; expected {_SQUAD}"
        ) from None


class _Checked:
    """Turns what stands in one file into paragraphs."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ids: set[str] = set()

    def paragraphs(self, file: BinaryIO) -> Iterator[Paragraph]:
        first = _first_byte(file)
        if first == b"[":
            for number, item in enumerate(ijson.items(file, "item"), start=1):
                place = f"paragraph {number}"
                self._require(item, dict, place)
                yield self._paragraph(item, place, "context_text", self._listed)
        else:
            for number, article in enumerate(ijson.items(file, "data.item"), start=1):
                yield from self._article(article, f"article {number}")
        if not self._ids:
            self._fail("", f"no questions in it; expected {_SQUAD}")

    def _article(self, article: Any, place: str) -> Iterator[Paragraph]:
        self._require(article, dict, place)
        paragraphs = self._get(article, "paragraphs", list, place)
        for number, item in enumerate(paragraphs, start=1):
            where = f"{place}, paragraph {number}"
            self._require(item, dict, where)
            yield self._paragraph(item, where, "context", self._squad)

    def _paragraph(self, item: dict, place: str, key: str, read: Any) -> Paragraph:
        context = self._get(item, key, str, place)
        questions = self._get(item, "qas", list, place)
        for number, question in enumerate(questions, start=1):
            self._require(question, dict, f"{place}, question {number}")
        return Paragraph(context, tuple(read(question, place) for question in questions))

    def _squad(self, item: dict, place: str) -> Question:
        place, question_id = self._identify(item, "id", place)
        answers = self._get(item, "answers", list, place) if "answers" in item else []
        found = tuple(self._answer(answer, place) for answer in answers)
        if "is_impossible" in item and self._get(item, "is_impossible", bool, place):
            found = ()
        elif "is_impossible" in item and not found:
            self._fail(place, "no answers, and is_impossible is false")
        return Question(question_id, self._get(item, "question", str, place), found)

    def _listed(self, item: dict, place: str) -> Question:
        place, question_id = self._identify(item, "query_id", place)
        answers = self._get(item, "answers", list, place)
        for answer in answers:
            self._require(answer, str, f"{place}, answers")
        found = tuple(Answer(answer, None) for answer in answers)
        return Question(question_id, self._get(item, "query_text", str, place), found)

    def _answer(self, item: Any, place: str) -> Answer:
        where = f"{place}, answers"
        self._require(item, dict, where)
        start = self._get(item, "answer_start", int, where)
        if start < 0:
            self._fail(where, f"answer_start is {start}; expected a place in the context, from 0")
        return Answer(self._text(item, "text", where), start)

    def _identify(self, item: dict, key: str, place: str) -> tuple[str, str]:
        question_id = self._text(item, key, place)
        place = f"question {question_id}"
        if question_id in self._ids:
            self._fail(place, "stands twice in the file; every question needs an id of its own")
        self._ids.add(question_id)
        return place, question_id

    def _text(self, item: dict, key: str, place: str) -> str:
        text: str = self._get(item, key, str, place)
        if not text.strip():
            self._fail(place, f'"{key}" is empty')
        return text

    def _get(self, item: dict, key: str, kind: type, place: str) -> Any:
        if key not in item:
            known = ", ".join(item) or "nothing"
            self._fail(place, f'"{key}" is missing; there is {known}')
        self._require(item[key], kind, f'{place}, "{key}"')
        return item[key]

    def _require(self, value: Any, kind: type, place: str) -> None:
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            expected = _KINDS.get(kind, "an object {...}")
            self._fail(place, f"expected {expected}, got {str(value)[:60]!r}")

    def _fail(self, place: str, fault: str) -> NoReturn:
        raise DataError(": ".join(part for part in (str(self._path), place, fault) if part))


def _first_byte(file: BinaryIO) -> bytes:
    """Return the first byte that is no white space; leave the file at it."""
    if file.read(3) != _BYTE_ORDER_MARK:
        file.seek(0)
    while (byte := file.read(1)).isspace():
        pass
    file.seek(-len(byte), 1)
    return byte
