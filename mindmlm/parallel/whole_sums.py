"""Sums over whole parameters, whose blocks several ranks have."""

from collections.abc import Sequence

import mindspore as ms
import numpy as np
from mindspore import nn, ops

from mindmlm.parallel.collectives import Sum
from mindmlm.parallel.groups import Group


class WholeSums(nn.Cell):
    """Sums over this rank's blocks of parameters -> sums over all blocks of each.

    Args:
        cuts: groups of ranks, and for each parameter whether its blocks are divided over the group.
            Where they are not, the members have the same block, and the sum stays as it is.
    """

    def __init__(self, cuts: Sequence[tuple[Group, Sequence[bool]]]) -> None:
        super().__init__()
        used = [(group, is_cut) for group, is_cut in cuts if group.size > 1 and any(is_cut)]
        self.sums = nn.CellList([Sum(group) for group, _ in used])
        self.is_cut = tuple(ms.Tensor(np.array(is_cut, np.bool_)) for _, is_cut in used)

    def construct(self, values: ms.Tensor) -> ms.Tensor:
        """float32 [rows, parameters] -> the same shape, on all ranks alike."""
        for index in range(len(self.is_cut)):
            here = ops.broadcast_to(self.is_cut[index], values.shape)
            values = ops.select(here, self.sums[index](values), values)
        return values
