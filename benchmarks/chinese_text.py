"""The Chinese text of the benchmarks, and a vocabulary for it.

`run.py --text`, `--sentences` and `--vocab` reach the workers as variables of the environment.
"""

import os
import string
from pathlib import Path

from mindmlm.data.samples import chinese_sample_path
from mindmlm.data.sources.cleaning import sentences
from mindmlm.tokenizers.bert import vocab_text
from mindmlm.tokenizers.vocab_training import train_vocab

TEXT_VARIABLE = "MINDMLM_BENCHMARK_TEXT"
# Not empty: every sentence of the text has a line of its own.
SENTENCES_VARIABLE = "MINDMLM_BENCHMARK_SENTENCES"
VOCABULARY_VARIABLE = "MINDMLM_BENCHMARK_VOCAB"
_BYTES = 350_000


def name() -> str:
    """Name of the text, without its folder, and what was done to it."""
    return _path().name + (", a sentence a line" if os.environ.get(SENTENCES_VARIABLE) else "")


def all_lines() -> list[str]:
    """Every line that is not empty: of the file that was given, else of the sample."""
    text = _path().read_text(encoding="utf-8")
    if os.environ.get(SENTENCES_VARIABLE):
        text = sentences(text)
    return [line.strip() for line in text.split("\n") if line.strip()]


def _path() -> Path:
    return Path(os.environ.get(TEXT_VARIABLE) or chinese_sample_path())


def lines() -> list[str]:
    """About 350 KB of lines, or all of them where there are fewer."""
    taken, size = [], 0
    for line in all_lines():
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
    """Write a `vocab.txt` with every character of the lines, or the one that was given."""
    given = os.environ.get(VOCABULARY_VARIABLE)
    tokens = Path(given).read_text(encoding="utf-8") if given else None
    path.write_text(tokens or vocab_text(train_vocab(text, 21_128, True)), encoding="utf-8")
    return path
