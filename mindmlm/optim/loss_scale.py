"""Loss scaling for float16 (Micikevicius et al. 2018, section 3.2), on the host."""

from dataclasses import dataclass


@dataclass
class LossScale:
    """The factor on the loss, and how it follows overflows.

    Args:
        value: factor of the next step.
        factor: divisor after an overflow and multiplier after `window` good steps; 1 = fixed.
        window: good steps in a row before the scale grows.
        good_steps: good steps since the last change.
        overflow_count: steps skipped so far.
    """

    value: float = 1.0
    factor: float = 1.0
    window: int = 1000
    good_steps: int = 0
    overflow_count: int = 0

    def update(self, overflow: bool) -> None:
        """Take note of one step: shrink after an overflow, grow after a run of good steps."""
        if overflow:
            self.value = max(1.0, self.value / self.factor)
            self.overflow_count += 1
            self.good_steps = 0
            return
        self.good_steps += 1
        if self.good_steps >= self.window:
            self.value *= self.factor
            self.good_steps = 0
