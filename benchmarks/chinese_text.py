"""The Chinese text of the build benchmark, and a vocabulary for it."""

import os
import string
from pathlib import Path

from mindmlm.data.samples import chinese_sample_path
from mindmlm.tokenizers.vocab_training import train_vocab, vocab_text

TEXT_VARIABLE = "MINDMLM_BENCHMARK_TEXT"
_BYTES = 350_000


def lines() -> list[str]:
    """About 350 KB of lines: of the file that MINDMLM_BENCHMARK_TEXT names, else the sample."""
    path = Path(os.environ.get(TEXT_VARIABLE) or chinese_sample_path())
    text = [line for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]
    taken, size = [], 0
    for line in text:
        if size < _BYTES:
            taken.append(line)
            size += len(line.encode("utf-8"))
    return taken


def variation(text: list[str], number: int) -> list[str]:
    """Return the lines with other digits and letters, so that numbers and names are new ones."""
    digits, small, large = string.digits, string.ascii_lowercase, string.ascii_uppercase
    table = str.maketrans(
        digits + small + large,
        "".join(
            part[number % len(part) :] + part[: number % len(part)]
            for part in (digits, small, large)
        ),
    )
    return [line.translate(table) for line in text]


def megabytes(text: list[str]) -> float:
    """Size of the lines in UTF-8."""
    return sum(len(line.encode("utf-8")) for line in text) / 1e6


def write_vocabulary(text: list[str], path: Path) -> Path:
    """Write a `vocab.txt` with every character of the lines."""
    path.write_text(vocab_text(train_vocab(text, 21_128, True)), encoding="utf-8")
    return path
