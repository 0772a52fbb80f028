"""How files are read, and what happens to their faults."""

from dataclasses import dataclass

from mindmlm.data.report import ReadReport
from mindmlm.errors import DataError

OVER_LONG = "line longer than max_line_bytes"
MALFORMED = "malformed UTF-8"
EMPTY = "empty file"
BAD_RECORD = "record that cannot be read"


@dataclass(frozen=True)
class ReadOptions:
    """How files are read.

    Attributes:
        file_format: "txt", "jsonl", "csv", "parquet", or "auto" = by the file's name and its
            first bytes.
        text_format: of txt files: "line" makes a document of every line; "document" reads
            documents with blank lines between them.
        on_error: "raise" stops at a fault (malformed UTF-8, an over-long line, a record without
            the field, an empty file); "skip" leaves it out and counts it in the report.
        max_line_bytes: longest line (its end not counted) or record of a table.
        text_field: the fields of a record (jsonl, csv, parquet) that hold text, in the order in
            which their lines form the document. A name with dots reaches into nested records.
        csv_delimiter: between the fields of a csv file; None = a tab for .tsv, else a comma.
    """

    file_format: str = "auto"
    text_format: str = "line"
    on_error: str = "raise"
    max_line_bytes: int = 1 << 20
    text_field: tuple[str, ...] = ("text",)
    csv_delimiter: str | None = None

    def fault(self, report: ReadReport, reason: str, place: str, detail: str) -> None:
        """Stop at a fault or count it, as ``on_error`` says.

        Raises:
            DataError: ``on_error`` is "raise".
        """
        if self.on_error == "raise":
            raise DataError(
                f"{place}: {reason}: {detail} (train_dataset.data_loader.on_error: skip leaves "
                "it out and counts it)"
            )
        report.skip(reason, place)
