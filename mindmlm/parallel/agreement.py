"""Numbers that all ranks must see alike: sums over those that count, and wishes of any."""

import math
from collections.abc import Sequence

import numpy as np

from mindmlm.errors import MindmlmError
from mindmlm.parallel.collectives import HostGather
from mindmlm.parallel.place import Place


class Agreement:
    """Exchange of host values between all ranks; each call is a meeting point.

    Args:
        place: this process; groups must have been made (`create_groups`).
    """

    def __init__(self, place: Place) -> None:
        self.place = place
        self._gather = HostGather(place.world)

    def rows(self, values: Sequence[float]) -> np.ndarray:
        """float64 values of every rank, [world_size, n], exact."""
        return self._gather(np.array(values, np.float64))

    def sums(self, values: Sequence[float], counts: bool) -> list[float]:
        """Sums over the ranks for which `counts` is true, correctly rounded."""
        rows = self.rows([*values, float(counts)])
        return [math.fsum(column) for column in rows[rows[:, -1] == 1.0, :-1].T]

    def from_main(self, text: str) -> str:
        """The text of rank 0; those of the others are not looked at."""
        return self._gather.texts(text if self.place.is_main else "")[0]

    def texts(self, text: str) -> list[str]:
        """A text of every rank."""
        return self._gather.texts(text)

    def raise_together(self, error: MindmlmError | None) -> None:
        """Go on if no rank has an error; else every rank raises, and ends with its exit code.

        Raises:
            MindmlmError: this rank's own error, or one that tells of another rank's.
        """
        notes = self.texts("" if error is None else f"{error.exit_code} {error}")
        if error is not None:
            raise error
        for rank, note in enumerate(notes):
            if note:
                code, _, text = note.partition(" ")
                told = MindmlmError(f"stopped with rank {rank}, which says: {text}")
                told.exit_code = int(code)
                raise told
