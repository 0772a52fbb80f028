"""How a model may be divided over devices, as data.

A model is written for one device. Its plan says which parameters can be cut, and where whole
activations turn into parts and back; `mindmlm.parallel` does what it says. Names are those of
parameters and cells, with `*` for the number of a layer.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True)
class ParallelPlan:
    """Cuts of one kind (Shoeybi et al. 2019, Megatron-LM, section 3).

    Args:
        cut_axes: parameter -> the axis that is divided.
        enter: cells whose first input is whole and whose work is divided; the gradient of that
            input is a sum over the parts.
        leave: matrix products whose result is a sum over the parts.
        lookups: `Lookup` cells on a table of which each part has some rows.
    """

    cut_axes: Mapping[str, int]
    enter: tuple[str, ...] = ()
    leave: tuple[str, ...] = ()
    lookups: tuple[str, ...] = ()

    def axis(self, name: str) -> int | None:
        """The axis of the parameter `name` that is divided; None = each device has all of it."""
        for pattern, axis in self.cut_axes.items():
            if fnmatchcase(name, pattern):
                return axis
        return None

    def __add__(self, other: "ParallelPlan") -> "ParallelPlan":
        """Both."""
        return ParallelPlan(
            {**self.cut_axes, **other.cut_axes},
            self.enter + other.enter,
            self.leave + other.leave,
            self.lookups + other.lookups,
        )
