"""Questions about a text, as the files hold them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    """A right answer.

    Attributes:
        text: as it was written down.
        start: character of the context where it begins, from 0; None = the file does not say.
    """

    text: str
    start: int | None


@dataclass(frozen=True)
class Question:
    """A question.

    Attributes:
        id: unique in its file.
        text: the question.
        answers: any of them is right; none = the context does not answer it.
    """

    id: str
    text: str
    answers: tuple[Answer, ...]


@dataclass(frozen=True)
class Paragraph:
    """A context and the questions about it."""

    context: str
    questions: tuple[Question, ...]


def locate(context: str, answer: Answer) -> tuple[int, int] | None:
    """Return the first character of an answer in its context and the one behind its last.

    Some files (CMRC 2018 has such paragraphs) count characters beyond U+FFFF twice, as UTF-16
    does; where the text is not at its offset but is there in that count, that is what was meant.

    Returns:
        None where the file gives no offset, or something else stands there.
    """
    if answer.start is None:
        return None
    for start in (answer.start, _from_utf16(context, answer.start)):
        if start is not None and context[start : start + len(answer.text)] == answer.text:
            return start, start + len(answer.text)
    return None


def _from_utf16(context: str, units: int) -> int | None:
    """Return the character that begins after ``units`` UTF-16 units; None inside of one."""
    encoded = context.encode("utf-16-le", "surrogatepass")[: 2 * units]
    try:
        return len(encoded.decode("utf-16-le", "surrogatepass"))
    except UnicodeDecodeError:
        return None
