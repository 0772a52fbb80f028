"""Texts of tables and JSON lines, read as training reads them; faults are reported."""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields

from mindmlm.data.doctor.findings import Findings
from mindmlm.data.doctor.lines import OVER_LONG, FileSummary, LineBatch, read_lines
from mindmlm.data.report import ReadReport
from mindmlm.data.sources import options as reading
from mindmlm.data.sources.files import READERS, format_of
from mindmlm.data.sources.options import ReadOptions
from mindmlm.data.sources.stored_file import StoredFile

BATCH_CHARACTERS = 1 << 16
EMPTY = "file without text"
_SECTION = "train_dataset.data_loader."


@dataclass(frozen=True)
class _ReportedFaults(ReadOptions):
    """Reading that goes on behind every fault and says what was wrong with it."""

    findings: Findings = field(default_factory=lambda: Findings(0))

    def fault(self, report: ReadReport, reason: str, place: str, detail: str) -> None:
        """Report a fault; a file without text is reported when its end is reached."""
        if reason != reading.EMPTY:
            kind = OVER_LONG if reason == reading.OVER_LONG else reason
            # The details name keys of a run; the doctor has flags of the same names.
            self.findings.add(kind, f"{place}: {detail.replace(_SECTION, '--')}")


def read_batches(
    file: StoredFile, summary: FileSummary, findings: Findings, options: ReadOptions
) -> Iterator[LineBatch]:
    """Stream the texts of a file with their lines or rows; faults are reported in ``findings``.

    Args:
        file: of any format that training reads, plain or compressed.
        summary: of the file; counted up.
        findings: see above.
        options: format, fields and the longest line; ``on_error`` is not looked at.

    Raises:
        DataError: the file cannot be opened or read on, or lacks a column.
    """
    file_format = format_of(file, options)
    summary.unit = "row" if file_format == "parquet" else "line"
    if file_format == "txt":
        texts = read_lines(file, summary, findings, options.max_line_bytes)
    else:
        texts = _texts(file, file_format, summary, findings, options)
    batch, characters = LineBatch(summary), 0
    for number, text in texts:
        batch.numbers.append(number)
        batch.texts.append(text)
        characters += len(text)
        if characters >= BATCH_CHARACTERS:
            summary.characters += characters
            yield batch
            batch, characters = LineBatch(summary), 0
    summary.characters += characters
    if batch.texts:
        yield batch
    if not summary.characters and (summary.lines or not summary.bytes):
        findings.add(EMPTY, summary.path)


def _texts(
    file: StoredFile,
    file_format: str,
    summary: FileSummary,
    findings: Findings,
    options: ReadOptions,
) -> Iterator[tuple[int, str]]:
    given = {item.name: getattr(options, item.name) for item in fields(options)}
    report = ReadReport()
    examined = _ReportedFaults(**given, findings=findings)
    for position, document in READERS[file_format](file, examined, report):
        summary.lines, summary.bytes = report.lines, report.bytes_read
        for line in document.lines:
            yield position[0], line.strip()
    summary.lines, summary.bytes = report.lines, report.bytes_read
