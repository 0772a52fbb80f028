"""Files that are named."""

from collections.abc import Iterator
from pathlib import Path

from mindmlm.config.problems import Problem
from mindmlm.config.schema import RunConfig


def paths_exist(config: RunConfig) -> Iterator[Problem]:
    """A file that is named must be there."""
    named = {
        "processor.tokenizer.vocab_file": config.processor.tokenizer.vocab_file,
        "train_dataset.data_loader.dataset_dir": config.train_dataset.data_loader.dataset_dir,
        "eval_dataset.data_loader.dataset_dir": config.eval_dataset.data_loader.dataset_dir,
        "processor.user_dict": config.processor.user_dict,
        "train_dataset.data_loader.credentials_file": (
            config.train_dataset.data_loader.credentials_file
        ),
        "processor.reference_file": config.processor.reference_file,
        "train_dataset.masking.term_file": config.train_dataset.masking.term_file,
        "train_dataset.masking.similar_words.file": (
            config.train_dataset.masking.similar_words.file
        ),
        "train_dataset.masking.similar_words.antonym_file": (
            config.train_dataset.masking.similar_words.antonym_file
        ),
    }
    for path, name in named.items():
        if (
            name
            and not (path.endswith("dataset_dir") and _is_no_path(name))
            and not _exists(Path(name))
        ):
            yield Problem(path, f"{name}: no such file or folder")
    vocab = config.processor.tokenizer.vocab_file
    if vocab and _exists(Path(vocab)) and Path(vocab).is_dir():
        yield Problem("processor.tokenizer.vocab_file", f"{vocab} is a folder; name the vocab.txt")


def count_lines(path: Path) -> int:
    """Return the number of lines that hold something; 0 when there is no such file."""
    if not _exists(path) or not path.is_file():
        return 0
    with path.open("rb") as file:
        return sum(1 for line in file if line.strip())


def _exists(path: Path) -> bool:
    """Return whether the path is there; False for a name that the system cannot have."""
    try:
        return path.exists()
    except OSError:
        return False


def _is_no_path(text: str) -> bool:
    """Return whether a text stands for standard input, an address or a pattern."""
    return text == "-" or "://" in text or any(character in text for character in "*?[")
