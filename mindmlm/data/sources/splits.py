"""Which files of a folder are for training and which for evaluation."""

from pathlib import PurePosixPath

from mindmlm.data.sources.decompression import without_compression
from mindmlm.data.sources.files import FORMAT_SUFFIXES
from mindmlm.data.sources.locations import Listing
from mindmlm.data.sources.stored_file import StoredFile
from mindmlm.errors import DataError

SPLIT_PREFIXES: dict[str, tuple[str, ...]] = {
    "eval": ("valid", "dev", "eval"),
    "test": ("test",),
    "train": ("train",),
}
# A .json file of a folder mostly describes the others.
TEXT_SUFFIXES = ("", ".txt", ".text", ".raw", ".tokens", *(FORMAT_SUFFIXES.keys() - {".json"}))
_NOT_TEXT = ("vocab.txt",)


def split_of(base_name: str) -> str:
    """Return "train", "eval" or "test" by the beginning of a file's name, "train" if none."""
    for split, prefixes in SPLIT_PREFIXES.items():
        if base_name.lower().startswith(prefixes):
            return split
    return "train"


def list_split(listing: Listing, split: str) -> tuple[StoredFile, ...]:
    """Return the files of a split, sorted by name; empty when there are none.

    Files that were named (or matched by a pattern, or piped) are the train split whatever their
    names. Of a folder, files with an ending of `TEXT_SUFFIXES` count, plain or compressed;
    sub-folders, hidden files and `vocab.txt` do not.
    """
    if not listing.is_folder:
        return listing.files if split == "train" else ()
    return tuple(
        file for file in listing.files if _is_text(file) and split_of(file.base_name) == split
    )


def resolve_split(listing: Listing, split: str) -> tuple[StoredFile, ...]:
    """Return the files of a split, at least one; see `list_split`.

    Raises:
        DataError: there are none.
    """
    files = list_split(listing, split)
    if files:
        return files
    others = ", ".join(file.base_name for file in listing.files[:8]) or "nothing"
    beginnings = ", ".join(SPLIT_PREFIXES[split])
    raise DataError(
        f"{listing.place}: no text file for the {split} split; expected a file that ends in .txt, "
        f".jsonl, .csv or .parquet (or these with .gz or .zst) and begins with {beginnings}; "
        f"found {others}"
    )


def resolve_evaluation(listing: Listing) -> tuple[StoredFile, ...]:
    """Return the files of a place that the user gave for evaluation.

    Files that were named are taken themselves; of a folder the valid, dev or eval files, else the
    test files, else all text files.

    Raises:
        DataError: there is no text file.
    """
    if not listing.is_folder:
        return listing.files
    for split in ("eval", "test"):
        if files := list_split(listing, split):
            return files
    return resolve_split(listing, "train")


def _is_text(file: StoredFile) -> bool:
    name = file.base_name
    suffix = PurePosixPath(without_compression(name)).suffix.lower()
    return not name.startswith(".") and suffix in TEXT_SUFFIXES and name not in _NOT_TEXT
