"""Train a vocabulary on the training text, and write one."""

from collections.abc import Iterator
from pathlib import Path

from mindmlm.config.schema.processor import TokenizerConfig
from mindmlm.data.report import ReadReport
from mindmlm.data.sources.base import Source, read_documents
from mindmlm.runtime.files import write_text_atomic
from mindmlm.tokenizers.base import Tokenizer
from mindmlm.tokenizers.bert import BertTokenizer, vocab_text
from mindmlm.tokenizers.byte_level_bpe import train_byte_level_bpe
from mindmlm.tokenizers.files import BERT, BYTE_LEVEL, AnyTokenizer
from mindmlm.tokenizers.vocab_training import train_vocab


def train_tokenizer(
    section: TokenizerConfig, source: Source, num_samples: int | None = None
) -> AnyTokenizer:
    """Return a tokenizer of the kind and size that ``processor.tokenizer`` asks for.

    Args:
        section: its ``type``, ``train_vocab_size`` and ``do_lower_case``.
        source: the text.
        num_samples: most documents read; None = all.

    Raises:
        DataError: faulty text, or none, or ``train_vocab_size`` is too small.
    """
    lines = _lines(source, num_samples)
    if section.type == BERT:
        vocab = train_vocab(lines, section.train_vocab_size, section.do_lower_case)
        return BertTokenizer(vocab, section.do_lower_case)
    kind = BYTE_LEVEL[section.type]
    return kind.of_bpe(train_byte_level_bpe(lines, section.train_vocab_size, kind.special))


def save_tokenizer(tokenizer: Tokenizer, folder: Path) -> list[Path]:
    """Write a tokenizer's files, each whole or not at all, and return them.

    `vocab.txt` for BERT, `vocab.json` and `merges.txt` for GPT-2 and RoBERTa. The folder is made
    when missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in tokenizer.texts().items():
        write_text_atomic(folder / name, text)
    return [folder / name for name in tokenizer.texts()]


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
    vocab = train_vocab(_lines(source, num_samples), vocab_size, do_lower_case)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text_atomic(path, vocab_text(vocab))
    return vocab


def _lines(source: Source, num_samples: int | None) -> Iterator[str]:
    for document in read_documents(source, ReadReport(), num_samples):
        yield from document.lines
