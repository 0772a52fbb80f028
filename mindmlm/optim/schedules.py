"""Learning-rate schedules: pure functions step -> learning rate."""

import math
from dataclasses import dataclass
from typing import Protocol


class RateByStep(Protocol):
    """Anything that knows the learning rate of a step."""

    def at(self, step: int) -> float:
        """Learning rate of the update that follows `step` finished ones."""


@dataclass(frozen=True)
class Schedule:
    """Warm-up, then a decay from `learning_rate` to `lr_end`.

    Args:
        type: linear, cosine, polynomial or constant (after the warm-up).
        learning_rate: the peak.
        lr_end: value at `total_steps`; not used by constant.
        warmup_steps: steps in which the rate rises linearly from 0.
        total_steps: updates of the run; later steps stay at the last value.
        power: exponent of polynomial (1 is linear).
    """

    type: str
    learning_rate: float
    lr_end: float
    warmup_steps: int
    total_steps: int
    power: float = 1.0

    def at(self, step: int) -> float:
        """Learning rate of the update that follows `step` finished ones.

        The same numbers as Hugging Face's `get_*_schedule_with_warmup` (transformers
        optimization.py) where those exist.
        """
        if step < self.warmup_steps:
            return self.learning_rate * step / self.warmup_steps
        if self.type == "constant":
            return self.learning_rate
        decay_steps = max(1, self.total_steps - self.warmup_steps)
        remaining = 1.0 - min(1.0, (step - self.warmup_steps) / decay_steps)
        return self.lr_end + (self.learning_rate - self.lr_end) * self._shape(remaining)

    def _shape(self, remaining: float) -> float:
        if self.type == "cosine":
            return 0.5 * (1.0 - math.cos(math.pi * remaining))
        if self.type == "polynomial":
            return remaining**self.power
        return remaining


def warmup_steps(steps: int, ratio: float | None, total_steps: int) -> int:
    """Warm-up length: `ratio` of all steps, rounded up, where it is given, else `steps`."""
    return steps if ratio is None else math.ceil(ratio * total_steps)
