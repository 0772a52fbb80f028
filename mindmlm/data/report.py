"""What was read, what was left out and why."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

_EXAMPLES = 3


@dataclass
class ReadReport:
    """Counts of one pass over text files.

    Attributes:
        files, bytes_read, lines, documents: what was read; blank lines count as lines.
        skipped: reason -> number of lines or files left out.
        examples: reason -> the first few places (``file:line``).
        samples: rows stored. tokens: tokens stored.
        segmented_lines: lines whose words came from the segmenter.
        fallback_lines: lines of those that fell back to token masking because a token reaches
            over the border of a word.
        divided_documents: documents cut because they are larger than the reader holds.
        dropped_tokens: predictions left out because they fill no block.
    """

    files: int = 0
    bytes_read: int = 0
    lines: int = 0
    documents: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)
    samples: int = 0
    tokens: int = 0
    segmented_lines: int = 0
    fallback_lines: int = 0
    divided_documents: int = 0
    dropped_tokens: int = 0

    def skip(self, reason: str, place: str) -> None:
        """Count one line or file that was left out."""
        self.skipped[reason] += 1
        places = self.examples.setdefault(reason, [])
        if len(places) < _EXAMPLES:
            places.append(place)

    def summary(self) -> str:
        """Return one line of text, and one more for each reason something was left out."""
        first, *lines = self.text_summary().split("\n")
        lines.insert(0, f"{first} -> {self.samples:,} samples, {self.tokens:,} tokens")
        if self.fallback_lines:
            lines.append(
                f"  {self.fallback_lines:,} of {self.segmented_lines:,} lines fell back to token "
                "masking: a token reaches over the border of a word"
            )
        if self.divided_documents:
            lines.append(f"  {self.divided_documents:,} documents were divided: too large")
        if self.dropped_tokens:
            lines.append(f"  {self.dropped_tokens:,} tokens at the end fill no block: left out")
        return "\n".join(lines)

    def text_summary(self) -> str:
        """Return `summary` for those who make no samples of the text."""
        lines = [
            f"{self.documents:,} documents ({self.lines:,} lines, {self.bytes_read:,} bytes, "
            f"{self.files} files)"
        ]
        for reason, count in sorted(self.skipped.items()):
            lines.append(f"  skipped {count:,}: {reason} (first: {self.examples[reason][0]})")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {**vars(self), "skipped": dict(self.skipped)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "ReadReport":
        """Rebuild a report from `to_dict`."""
        return cls(**{**values, "skipped": Counter(values["skipped"])})
