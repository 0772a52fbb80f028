"""What was read of a file of questions, and what does not fit."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

CUT = "questions cut to max_question_length"
EMPTY = "questions without a word in them"
WITHOUT_ANSWER = "questions that their context does not answer"
UTF16 = "answers whose offset counts UTF-16 units, which was taken into account"
MISPLACED = "answers that do not stand at their offset: left out of training"
WITHOUT_OFFSET = "answers without an offset, which cannot be trained on"
NOT_IN_A_WINDOW = "questions whose answer fits into no window"


@dataclass
class QuestionReport:
    """Counts of one pass over a file of questions.

    Attributes:
        file: its name.
        paragraphs, questions: what was read.
        features: rows made of them.
        features_without_place: rows of answered questions whose window does not hold the answer.
        notes: what was met -> number of questions; `examples` has the id of the first of each.
    """

    file: str
    paragraphs: int = 0
    questions: int = 0
    features: int = 0
    features_without_place: int = 0
    notes: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)

    def note(self, what: str, question_id: str) -> None:
        """Count one question."""
        self.notes[what] += 1
        self.examples.setdefault(what, question_id)

    def summary(self) -> str:
        """Return one line of text, and one more for each note."""
        lines = [
            f"{self.file}: {self.questions:,} questions on {self.paragraphs:,} paragraphs -> "
            f"{self.features:,} rows, {self.features_without_place:,} of them without a place for "
            "the answer"
        ]
        for what, count in sorted(self.notes.items()):
            lines.append(f"  {count:,} {what} (first: {self.examples[what]})")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {**vars(self), "notes": dict(self.notes)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "QuestionReport":
        """Rebuild a report from `to_dict`."""
        return cls(**{**values, "notes": Counter(values["notes"])})
