"""ZeRO-1: each data-parallel rank updates its part of the weights and keeps the state of that part.

Rajbhandari et al. 2020, section 5.1 ("P_os"). The part that is updated is a copy of that block of
the weights; after the update all ranks gather the parts. Where the data axis has one rank, or
nothing is to be cut, everything here is the weights themselves.
"""

from collections.abc import Mapping, Sequence

import mindspore as ms
from mindspore import Parameter

from mindmlm.optim.moments import PART
from mindmlm.parallel.buckets import Entry, GatherWeights, ReduceGradients
from mindmlm.parallel.division import Division
from mindmlm.parallel.groups import Group


class OwnedParts:
    """What this rank updates of the trained weights.

    Args:
        weights: trained parameters of the model on this rank, with their values.
        wholes: whole shape of each by name.
        division: what this rank has.
        group: the data axis.
        count: number of buckets of a message (`gradient_aggregation_group`).
    """

    def __init__(
        self,
        weights: Sequence[Parameter],
        wholes: Mapping[str, tuple[int, ...]],
        division: Division,
        group: Group,
        count: int,
    ) -> None:
        self.axes = [division.shard_axis(value.name, wholes[value.name]) for value in weights]
        self.parameters = [
            value if axis is None else _part(value, axis, group)
            for value, axis in zip(weights, self.axes, strict=True)
        ]
        self._alone = group.size == 1
        self._reduce = ReduceGradients(
            [Entry(value.shape, axis) for value, axis in zip(weights, self.axes, strict=True)],
            group,
            count,
        )
        cut = [index for index, axis in enumerate(self.axes) if axis is not None]
        self._gather = (
            GatherWeights(
                [self.parameters[index] for index in cut],
                [weights[index] for index in cut],
                [axis for axis in self.axes if axis is not None],
                group,
                count,
            )
            if cut
            else None
        )

    def reduced(self, gradients: tuple[ms.Tensor, ...]) -> tuple[ms.Tensor, ...]:
        """Gradients of all ranks, summed: this rank's parts of them."""
        return gradients if self._alone else self._reduce(*gradients)

    def publish(self) -> None:
        """Bring the updated parts into the weights of all ranks."""
        if self._gather is not None:
            self._gather().asnumpy()


def _part(value: Parameter, axis: int, group: Group) -> Parameter:
    length = value.shape[axis] // group.size
    index = [slice(None)] * len(value.shape)
    index[axis] = slice(group.index * length, (group.index + 1) * length)
    return Parameter(ms.Tensor(value.asnumpy()[tuple(index)].copy()), name=PART + value.name)
