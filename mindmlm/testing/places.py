"""One text in many places, for tests that read it from each."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PLACES = [
    *("txt", "txt.gz", "txt.zst", "jsonl", "jsonl.gz", "jsonl.zst", "csv", "csv.gz", "csv.zst"),
    *("parquet", "folder", "glob", "stdin", "in_s3", "in_sqlite", "in_postgres"),
]


@dataclass(frozen=True)
class Text:
    """The text and its vocabulary.

    Attributes:
        lines: Chinese and English.
        folder: of the vocabulary and of the files that tests write.
    """

    lines: list[str]
    folder: Path

    @property
    def vocabulary(self) -> Path:
        """Its `vocab.txt`."""
        return self.folder / "vocab.txt"

    @property
    def plain(self) -> Path:
        """The text as one plain file, a document a line."""
        return self.folder / "plain.txt"


@dataclass(frozen=True)
class Place:
    """Where the text is, said in both ways.

    Attributes:
        input_file: for the tool; "" = a table.
        loader: keys of `train_dataset.data_loader` for a run, without `dataset_dir`.
        stdin: what is piped in.
    """

    input_file: str = ""
    loader: dict[str, Any] = field(default_factory=dict)
    stdin: bytes | None = None

    def flags(self) -> list[str]:
        """Return the flags of the tool."""
        names = {"file_format": "input_format"}
        words = [] if not self.input_file else [f"--input_file={self.input_file}"]
        for key, value in self.loader.items():
            if key != "type":
                values = value if isinstance(value, list) else [value]
                words += [f"--{names.get(key, key)}", *map(str, values)]
        return words
