"""Which file of a folder holds the questions for training, and which for evaluation."""

from pathlib import Path

from mindmlm.errors import DataError

_NAMES = {
    "train": ("train*.json", "cmrc2018_train*.json", "cmrc2018-train*.json"),
    "dev": ("dev*.json", "cmrc2018_dev*.json", "cmrc2018-dev*.json"),
}
_EXAMPLES = {
    "train": "train-v1.1.json, train-v2.0.json or cmrc2018_train.json",
    "dev": "dev-v1.1.json, dev-v2.0.json or cmrc2018_dev.json",
}


def question_file(place: str, split: str) -> Path:
    """Return the file that a `dataset_dir` means.

    Args:
        place: a file, or a folder in which its name says what it is for.
        split: "train" or "dev".

    Raises:
        DataError: there is none, or several.
    """
    found = find_question_file(place, split)
    if found is None:
        raise DataError(f"{place}: no file of questions ({_EXAMPLES[split]}) in it; name the file")
    return found


def find_question_file(place: str, split: str) -> Path | None:
    """Return what `question_file` does, or None where a folder has no such file.

    Raises:
        DataError: nothing is there, or the folder has several.
    """
    path = Path(place)
    if path.is_file():
        return path
    if not path.is_dir():
        raise DataError(f"{place}: no such file or folder")
    found = sorted({file for pattern in _NAMES[split] for file in path.glob(pattern)})
    if len(found) > 1:
        names = ", ".join(file.name for file in found)
        raise DataError(f"{place}: several files of questions: {names}; name the one that is meant")
    return found[0] if found else None
