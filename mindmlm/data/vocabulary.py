"""Train a vocabulary on the training text and write it."""

from pathlib import Path

from mindmlm.data.report import ReadReport
from mindmlm.data.sources.base import Source, read_documents
from mindmlm.runtime.files import write_text_atomic
from mindmlm.tokenizers.vocab_training import train_vocab, vocab_text


def train_vocab_file(
    path: Path,
    source: Source,
    vocab_size: int,
    do_lower_case: bool,
    num_samples: int | None = None,
) -> list[str]:
    """Train on ``source``, write ``path`` (whole or not at all) and return the vocabulary.

    Arguments as for `train_vocab` and `read_documents`.

    Raises:
        DataError: faulty text, or none, or ``vocab_size`` is too small.
    """
    documents = read_documents(source, ReadReport(), num_samples)
    lines = (line for document in documents for line in document.lines)
    vocab = train_vocab(lines, vocab_size, do_lower_case)
    write_vocab(vocab, path)
    return vocab


def write_vocab(vocab: list[str], path: Path) -> None:
    """Write a `vocab.txt`, whole or not at all; its folder is made when missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text_atomic(path, vocab_text(vocab))
