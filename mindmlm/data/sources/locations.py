"""From what the user wrote to the files it means."""

import glob
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mindmlm.data.sources.object_store import Access, Store
from mindmlm.data.sources.standard_input import spool_standard_input
from mindmlm.data.sources.stored_file import LocalFile, StoredFile
from mindmlm.errors import DataError

STANDARD_INPUT = "-"
_WILDCARDS = "*?["


@dataclass(frozen=True)
class Location:
    """A file, a folder, a pattern, an address or standard input.

    Attributes:
        text: what the user wrote.
        access: for addresses.
        spool_dir: where standard input is kept.
    """

    text: str
    access: Access = field(default_factory=Access)
    spool_dir: Path = Path()

    def listing(self) -> "Listing":
        """Return the files.

        Raises:
            DataError: there are none, or they cannot be listed.
        """
        if not self.text:
            raise DataError(
                "no text given: set train_dataset.data_loader.dataset_dir (or --dataset_dir) to a "
                "text file or a folder of text files"
            )
        if self.text == STANDARD_INPUT:
            return Listing(self.text, (spool_standard_input(self.spool_dir),), False)
        if is_address(self.text):
            files, is_folder = Store(self.text, self.access).files(self.text)
            return self._checked(files, is_folder)
        path = Path(self.text)
        if path.is_dir():
            return Listing(self.text, tuple(_files_of(path)), True)
        if path.exists():
            return Listing(self.text, (LocalFile(path),), False)
        if is_pattern(self.text):
            matches = sorted(glob.glob(self.text, recursive=True))  # noqa: PTH207
            return self._checked([LocalFile(Path(m)) for m in matches if Path(m).is_file()], False)
        raise DataError(
            f"{self.text}: no such file or folder (train_dataset.data_loader.dataset_dir)"
        )

    def _checked(self, files: Sequence[StoredFile], is_folder: bool) -> "Listing":
        if not files and not is_folder:
            raise DataError(f"{self.text}: no file matches")
        return Listing(self.text, tuple(files), is_folder)


@dataclass(frozen=True)
class Listing:
    """Files of a location, sorted by name.

    Attributes:
        place: what the user wrote.
        files: all files of a folder, text or not; at least one of any other location.
        is_folder: whether the names of the files decide what they are for.
    """

    place: str
    files: tuple[StoredFile, ...]
    is_folder: bool


def is_address(text: str) -> bool:
    """Return whether the text is an address with a scheme, like s3://."""
    return "://" in text


def is_pattern(text: str) -> bool:
    """Return whether the text has a wildcard in it."""
    return any(character in text for character in _WILDCARDS)


def _files_of(folder: Path) -> list[LocalFile]:
    try:
        return [LocalFile(path) for path in sorted(folder.iterdir()) if path.is_file()]
    except OSError as error:
        raise DataError(f"{folder}: cannot list the folder: {error.strerror}") from None
