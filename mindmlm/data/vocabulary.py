"""Train a vocabulary on the training files and write it."""

from collections.abc import Sequence
from pathlib import Path

from mindmlm.data.report import ReadReport
from mindmlm.data.sources.text import TextReader
from mindmlm.runtime.files import write_text_atomic
from mindmlm.tokenizers.vocab_training import train_vocab, vocab_text


def train_vocab_file(
    path: Path,
    files: Sequence[Path],
    reader: TextReader,
    vocab_size: int,
    do_lower_case: bool,
    num_samples: int | None = None,
) -> list[str]:
    """Train on ``files``, write ``path`` (whole or not at all) and return the vocabulary.

    Arguments as for `train_vocab` and `TextReader.documents`.

    Raises:
        DataError: faulty text, or none, or ``vocab_size`` is too small.
    """
    documents = reader.documents(files, ReadReport(), num_samples)
    lines = (line for document in documents for line in document.lines)
    vocab = train_vocab(lines, vocab_size, do_lower_case)
    write_vocab(vocab, path)
    return vocab


def write_vocab(vocab: list[str], path: Path) -> None:
    """Write a `vocab.txt`, whole or not at all; its folder is made when missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text_atomic(path, vocab_text(vocab))
