"""Which files of a folder are for training and which for evaluation."""

from pathlib import Path

from mindmlm.errors import DataError

SPLIT_PREFIXES: dict[str, tuple[str, ...]] = {
    "eval": ("valid", "dev", "eval"),
    "test": ("test",),
    "train": ("train",),
}
TEXT_SUFFIXES = ("", ".txt", ".text", ".raw", ".tokens")
_NOT_TEXT = ("vocab.txt",)


def split_of(path: Path) -> str:
    """Return "train", "eval" or "test" by the beginning of the file's name, "train" if none."""
    name = path.name.lower()
    for split, prefixes in SPLIT_PREFIXES.items():
        if name.startswith(prefixes):
            return split
    return "train"


def list_split(dataset_dir: str | Path, split: str) -> list[Path]:
    """Return the text files of a split, sorted by name; empty when there are none.

    ``dataset_dir`` is a file, which is the train split whatever its name, or a folder. Of a
    folder, files that end in .txt, .text, .raw, .tokens or nothing count; sub-folders, hidden
    files and `vocab.txt` do not.

    Raises:
        DataError: ``dataset_dir`` is empty, does not exist or cannot be read.
    """
    path = _existing(dataset_dir)
    if path.is_file():
        return [path] if split == "train" else []
    return [file for file in _text_files(path) if split_of(file) == split]


def resolve_split(dataset_dir: str | Path, split: str) -> list[Path]:
    """Return the files of a split, at least one; see `list_split`.

    Raises:
        DataError: there are none.
    """
    files = list_split(dataset_dir, split)
    if files:
        return files
    others = ", ".join(file.name for file in _listed(Path(dataset_dir))[:8]) or "nothing"
    beginnings = ", ".join(SPLIT_PREFIXES[split])
    raise DataError(
        f"{dataset_dir}: no text file for the {split} split; expected a file that ends in .txt "
        f"and begins with {beginnings}; found {others}"
    )


def resolve_evaluation(dataset_dir: str | Path) -> list[Path]:
    """Return the files of a path that the user gave for evaluation.

    A file is taken itself; of a folder the valid, dev or eval files, else the test files, else
    all text files.

    Raises:
        DataError: there is no text file.
    """
    path = _existing(dataset_dir)
    if path.is_file():
        return [path]
    for split in ("eval", "test"):
        if files := list_split(path, split):
            return files
    return resolve_split(path, "train")


def _existing(dataset_dir: str | Path) -> Path:
    if not str(dataset_dir):
        raise DataError(
            "no text given: set train_dataset.data_loader.dataset_dir (or --dataset_dir) to a "
            "text file or a folder of text files"
        )
    path = Path(dataset_dir)
    if not path.exists():
        raise DataError(f"{path}: no such file or folder (train_dataset.data_loader.dataset_dir)")
    return path


def _listed(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    try:
        return sorted(path.iterdir())
    except OSError as error:
        raise DataError(f"{path}: cannot list the folder: {error.strerror}") from None


def _text_files(folder: Path) -> list[Path]:
    return [
        file
        for file in _listed(folder)
        if file.is_file()
        and not file.name.startswith(".")
        and file.suffix.lower() in TEXT_SUFFIXES
        and file.name not in _NOT_TEXT
    ]
