"""Tokenized questions on disk: contexts once, and for each row which part of one it shows."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mindmlm.data.array_folder import ArrayFolder, ArrayFolderWriter
from mindmlm.data.question_answering.examples import Paragraph, Question
from mindmlm.data.store import token_dtype
from mindmlm.tokenizers.base import TokenizedText

STORE_VERSION = 1
# The answer's place is not known, so the row has no loss.
UNKNOWN = -1
_FEATURE = ("question", "first", "stop", "start", "end")
_PLACES, _CHARACTERS, _BYTES = np.dtype("<i8"), np.dtype("<u4"), np.dtype("u1")


@dataclass(frozen=True)
class Feature:
    """One row: a question and a window of its context.

    Attributes:
        question: number of the question in the store.
        first, stop: first token of the window in its context, and the one behind the last.
        start, end: columns of the answer in the row; (0, 0) where the window does not hold it,
            `UNKNOWN` where the file does not say where it is.
    """

    question: int
    first: int
    stop: int
    start: int
    end: int


@dataclass(frozen=True)
class StoredContext:
    """Tokens of a context: ids [n] and their characters, [n] each."""

    ids: np.ndarray
    begins: np.ndarray
    ends: np.ndarray


class QuestionStore:
    """Rows of questions and windows, read from a folder that `QuestionStoreWriter` wrote.

    Attributes:
        num_samples: rows.
        num_questions: questions.
        fingerprint: hexadecimal digest of the contents.

    Raises:
        DataError: the folder is missing, incomplete, damaged or of another version.
    """

    def __init__(self, path: Path) -> None:
        folder = ArrayFolder(path, STORE_VERSION)
        self._arrays = folder.arrays
        self._features = folder.arrays["features"].reshape(-1, len(_FEATURE))
        self.facts = folder.facts
        self.fingerprint = folder.fingerprint
        self.num_samples = len(self._features)
        self.num_questions = len(folder.arrays["question_ends"])

    def feature(self, number: int) -> Feature:
        """Return a row, 0 .. num_samples - 1."""
        return Feature(*self._features[number].tolist())

    def question_of_features(self) -> np.ndarray:
        """Return the question of every row, int64 [num_samples], ascending."""
        return self._features[:, 0]

    def question_tokens(self, question: int) -> np.ndarray:
        """Return the ids of a question, [n]."""
        return self._piece("question_tokens", "question_ends", question)

    def context(self, question: int) -> StoredContext:
        """Return the tokens of the context of a question."""
        paragraph = self._paragraph(question)
        return StoredContext(
            *(self._piece(name, "context_ends", paragraph) for name in ("tokens", "begins", "ends"))
        )

    def context_text(self, question: int) -> str:
        """Return the context of a question as the file has it."""
        data = self._piece("texts", "text_ends", self._paragraph(question))
        return data.tobytes().decode("utf-8", "surrogatepass")

    def question_id(self, question: int) -> str:
        """Return the id of a question in its file."""
        return str(self._record(question)["id"])

    def answers(self, question: int) -> list[str]:
        """Return the right answers; none where the context does not answer."""
        return list(self._record(question)["answers"])

    def _record(self, question: int) -> dict:
        return dict(json.loads(self._piece("records", "record_ends", question).tobytes()))

    def _paragraph(self, question: int) -> int:
        return int(self._arrays["paragraphs"][question])

    def _piece(self, name: str, ends: str, number: int) -> np.ndarray:
        borders = self._arrays[ends]
        begin = borders[number - 1] if number else 0
        return self._arrays[name][begin : borders[number]]


class QuestionStoreWriter:
    """Write a `QuestionStore`; as a context it closes its files.

    Args:
        path: an existing, empty folder.
        vocab_size: decides the width of a token on disk.
    """

    def __init__(self, path: Path, vocab_size: int) -> None:
        tokens = token_dtype(vocab_size)
        dtypes = {
            "tokens": tokens,
            "begins": _CHARACTERS,
            "ends": _CHARACTERS,
            "context_ends": _PLACES,
            "texts": _BYTES,
            "text_ends": _PLACES,
            "question_tokens": tokens,
            "question_ends": _PLACES,
            "paragraphs": _PLACES,
            "records": _BYTES,
            "record_ends": _PLACES,
            "features": _PLACES,
        }
        self._folder = ArrayFolderWriter(path, dtypes, STORE_VERSION)

    def __enter__(self) -> "QuestionStoreWriter":
        return self

    def __exit__(self, *exception: object) -> None:
        self._folder.__exit__(*exception)

    @property
    def num_questions(self) -> int:
        """Questions so far."""
        return self._folder.lengths["question_ends"]

    @property
    def num_samples(self) -> int:
        """Rows so far."""
        return self._folder.lengths["features"] // len(_FEATURE)

    def add_context(self, paragraph: Paragraph, tokens: TokenizedText) -> None:
        """Begin a paragraph; the questions that follow are about it."""
        self._folder.append("tokens", tokens.ids)
        self._folder.append("begins", tokens.offsets[:, 0])
        self._folder.append("ends", tokens.offsets[:, 1])
        self._end("context_ends", "tokens")
        text = paragraph.context.encode("utf-8", "surrogatepass")
        self._folder.append("texts", np.frombuffer(text, np.uint8))
        self._end("text_ends", "texts")

    def add_question(self, question: Question, tokens: np.ndarray) -> int:
        """Add a question and return its number."""
        number = self.num_questions
        self._folder.append("question_tokens", tokens)
        self._end("question_ends", "question_tokens")
        self._folder.append("paragraphs", [self._folder.lengths["context_ends"] - 1])
        record = {"id": question.id, "answers": [answer.text for answer in question.answers]}
        self._folder.append("records", np.frombuffer(json.dumps(record).encode(), np.uint8))
        self._end("record_ends", "records")
        return number

    def add_feature(self, feature: Feature) -> None:
        """Add a row; those of a question follow each other."""
        self._folder.append("features", [getattr(feature, name) for name in _FEATURE])

    def finish(self, facts: dict) -> None:
        """Make the folder a store; ``facts`` are JSON values."""
        self._folder.finish(facts)

    def _end(self, ends: str, name: str) -> None:
        self._folder.append(ends, [self._folder.lengths[name]])
