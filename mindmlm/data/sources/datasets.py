"""The sources of a run: what to train on and what to judge on."""

from dataclasses import dataclass, field
from functools import cached_property

from mindmlm.data.sources.base import Source
from mindmlm.data.sources.cleaned import Cleaning, cleaned
from mindmlm.data.sources.files import FileSource
from mindmlm.data.sources.locations import Listing, Location
from mindmlm.data.sources.options import ReadOptions
from mindmlm.data.sources.splits import list_split, resolve_evaluation, resolve_split
from mindmlm.data.sources.stored_file import StoredFile


@dataclass(frozen=True)
class FileDataset:
    """Files in one place, read and cleaned in one way.

    Attributes:
        location: where they are; looked at once, when it is first needed.
        options: see `ReadOptions`.
        cleaning: see `Cleaning`.
    """

    location: Location
    options: ReadOptions = field(default_factory=ReadOptions)
    cleaning: Cleaning = field(default_factory=Cleaning)

    def training(self) -> Source:
        """Return the source of the training files.

        Raises:
            DataError: there are none.
        """
        return self._source(resolve_split(self.listing, "train"))

    def evaluation_beside_training(self) -> Source | None:
        """Return the source of a training folder's valid, dev or eval files; None without any.

        Raises:
            DataError: the place is not there.
        """
        files = list_split(self.listing, "eval")
        return self._source(files) if files else None

    def evaluation(self) -> Source:
        """Return the source of a place that was given for evaluation.

        Raises:
            DataError: there is no text.
        """
        return self._source(resolve_evaluation(self.listing))

    @cached_property
    def listing(self) -> Listing:
        """The files of the place.

        Raises:
            DataError: there are none, or they cannot be listed.
        """
        return self.location.listing()

    def _source(self, files: tuple[StoredFile, ...]) -> Source:
        return cleaned(FileSource(files, self.options), self.cleaning)
