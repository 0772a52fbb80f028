"""What a run has to remember from one step to the next."""

from dataclasses import asdict, dataclass, field
from typing import Any

from mindmlm.optim.loss_scale import LossScale


@dataclass
class TrainState:
    """Counters of a run.

    Args:
        step: optimizer steps done, skipped ones included.
        samples_seen: position in the endless stream of samples.
        loss_scale: current loss scale and the number of skipped steps.
        updates_before: updates of the run whose optimizer state this one began with.
    """

    step: int = 0
    samples_seen: int = 0
    loss_scale: LossScale = field(default_factory=LossScale)
    updates_before: int = 0

    @property
    def updates(self) -> int:
        """Updates that the optimizer's state has seen."""
        return self.updates_before + self.step - self.loss_scale.overflow_count

    def to_dict(self) -> dict[str, Any]:
        """JSON form, stored in a checkpoint's manifest."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "TrainState":
        """Inverse of `to_dict`."""
        return cls(
            step=int(values["step"]),
            samples_seen=int(values["samples_seen"]),
            loss_scale=LossScale(**values["loss_scale"]),
            updates_before=int(values.get("updates_before", 0)),
        )
