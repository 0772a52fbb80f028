"""One pass over text files: everything the doctor looks for."""

import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from mindmlm.data.doctor.characters import examine_characters
from mindmlm.data.doctor.findings import Findings, Histogram
from mindmlm.data.doctor.lines import FileSummary
from mindmlm.data.doctor.records import read_batches
from mindmlm.data.doctor.repeats import RepeatFinder
from mindmlm.data.doctor.unknown import UnknownFinder
from mindmlm.data.sources.options import ReadOptions
from mindmlm.data.sources.stored_file import StoredFile
from mindmlm.errors import DataError
from mindmlm.tokenizers.files import MaskingTokenizer


@dataclass(frozen=True)
class DoctorSettings:
    """What counts as a problem.

    Attributes:
        tokenizer: judges the share of [UNK]; None = not looked at.
        reading: format and fields of the files; a line longer than its ``max_line_bytes`` is a
            problem.
        max_duplicate_share: lines that repeat an earlier one, of all lines with text.
        max_unknown_share: [UNK] of all tokens.
        examples: places shown of each kind.
        progress: show a bar on standard error.
    """

    tokenizer: MaskingTokenizer | None = None
    reading: ReadOptions = field(default_factory=ReadOptions)
    max_duplicate_share: float = 0.0
    max_unknown_share: float = 0.01
    examples: int = 10
    progress: bool = False


@dataclass
class Diagnosis:
    """What was found.

    Attributes:
        files: one summary a file.
        findings: faults of encoding.
        languages: language -> lines.
        lengths: characters of a line.
        repeats: duplicate and leaked lines.
        unknown: None without a vocabulary.
        settings: what counts as a problem.
    """

    files: list[FileSummary]
    findings: Findings
    repeats: RepeatFinder
    unknown: UnknownFinder | None
    settings: DoctorSettings
    languages: Counter[str] = field(default_factory=Counter)
    lengths: Histogram = field(default_factory=Histogram)

    @property
    def lines_with_text(self) -> int:
        """Lines that were read and are not blank."""
        return self.lengths.number

    def problems(self) -> list[str]:
        """Return one sentence for each kind of problem, none when the text is good."""
        found = [f"{kind}: {count:,}" for kind, count in sorted(self.findings.counts.items())]
        duplicates = self.repeats.duplicate_lines
        if duplicates > self.settings.max_duplicate_share * self.lines_with_text:
            share = duplicates / self.lines_with_text
            found.append(f"duplicate lines: {duplicates:,} ({share:.2%} of the lines)")
        if self.repeats.leaked_lines:
            found.append(
                f"leakage: {self.repeats.leaked_lines:,} evaluation lines stand in the training "
                "text as well"
            )
        if self.unknown and self.unknown.share > self.settings.max_unknown_share:
            found.append(
                f"[UNK]: {self.unknown.share:.2%} of the tokens, more than "
                f"{self.settings.max_unknown_share:.2%}"
            )
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        lines = self.lines_with_text
        return {
            "files": [vars(summary) for summary in self.files],
            "lines_with_text": lines,
            "encoding": self.findings.to_dict(),
            "duplicates": {
                "lines": self.repeats.duplicate_lines,
                "share": self.repeats.duplicate_lines / lines if lines else 0.0,
                "examples": [
                    {"times": times, "places": [self._place(place) for place in places]}
                    for times, places in self.repeats.duplicates()
                ],
            },
            "leakage": {
                "lines": self.repeats.leaked_lines,
                "examples": [
                    {"train": self._place(trained), "evaluation": self._place(judged)}
                    for trained, judged in self.repeats.leaks()
                ],
            },
            "languages": dict(self.languages.most_common()),
            "characters": self.lengths.to_dict(),
            "tokens": self.unknown.lengths.to_dict() if self.unknown else None,
            "unknown": self.unknown.to_dict() if self.unknown else None,
            "problems": self.problems(),
        }

    def _place(self, place: tuple[int, int]) -> str:
        return self.files[place[0]].place(place[1])


def examine(
    files: Sequence[StoredFile], evaluation_files: Sequence[StoredFile], settings: DoctorSettings
) -> Diagnosis:
    """Read the files once and return what was found.

    Memory does not grow with the text: of each line 24 bytes go to a temporary folder.

    Args:
        files: training text, or text of any kind.
        evaluation_files: text that must not stand in ``files``.
        settings: see `DoctorSettings`.

    Raises:
        DataError: a file cannot be read, or the temporary folder is full.
    """
    everything = [*files, *evaluation_files]
    try:
        total = sum(file.size() for file in everything)
        with tempfile.TemporaryDirectory(prefix="mindmlm-doctor-") as folder:
            diagnosis = Diagnosis(
                files=[],
                findings=Findings(settings.examples),
                repeats=RepeatFinder(Path(folder), settings.examples, len(files)),
                unknown=_unknown_finder(settings),
                settings=settings,
            )
            with tqdm(
                total=total, unit="B", unit_scale=True, disable=None if settings.progress else True
            ) as bar:
                for number, file in enumerate(everything):
                    side = "train" if number < len(files) else "evaluation"
                    _examine_file(diagnosis, file, side, bar)
            diagnosis.repeats.finish()
    except OSError as error:
        raise DataError(f"{error.filename}: cannot be read: {error.strerror}") from None
    return diagnosis


def _unknown_finder(settings: DoctorSettings) -> UnknownFinder | None:
    if settings.tokenizer is None:
        return None
    return UnknownFinder(settings.tokenizer, settings.examples)


def _examine_file(diagnosis: Diagnosis, file: StoredFile, side: str, bar: "tqdm[Any]") -> None:
    number = len(diagnosis.files)
    summary = FileSummary(file.name, side)
    diagnosis.files.append(summary)
    counted = 0
    for batch in read_batches(file, summary, diagnosis.findings, diagnosis.settings.reading):
        diagnosis.languages.update(examine_characters(batch, diagnosis.findings))
        for index, text in enumerate(batch.texts):
            diagnosis.lengths.add(len(text), batch.place(index))
        diagnosis.repeats.add(number, batch.numbers, batch.texts)
        if diagnosis.unknown is not None:
            diagnosis.unknown.add(batch)
        bar.update(summary.bytes - counted)
        counted = summary.bytes
