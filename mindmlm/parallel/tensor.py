"""Tensor parallelism: the Cells that stand where a plan says, and the cut of the vocabulary."""

import mindspore as ms
from mindspore import nn, ops

from mindmlm.models.functional import repeat_column
from mindmlm.parallel.collectives import EnterParts, Gather, LeaveParts, Maximum, Sum
from mindmlm.parallel.groups import Group


class Divided(nn.Cell):
    """A cell whose work is divided over a group; its first input is whole on every member."""

    def __init__(self, cell: nn.Cell, group: Group) -> None:
        super().__init__(auto_prefix=False)
        self.enter = EnterParts(group)
        self.cell = cell

    def construct(self, x: ms.Tensor, *others: ms.Tensor) -> ms.Tensor:
        """What the cell returns: a part."""
        return self.cell(self.enter(x), *others)


class Summed(nn.Cell):
    """A matrix product whose result on each member of a group is a summand of the whole one."""

    def __init__(self, cell: nn.Cell, group: Group) -> None:
        super().__init__(auto_prefix=False)
        # Nothing may be added before the sum.
        self.fused = False
        self.cell = cell
        self.leave = LeaveParts(group)

    def construct(self, *inputs: ms.Tensor) -> ms.Tensor:
        """The whole result."""
        return self.leave(self.cell(*inputs))


class DividedLookup(nn.Cell):
    """`Lookup` in a table of which each member of the group has the rows [start, stop)."""

    def __init__(self, group: Group, start: int, stop: int) -> None:
        super().__init__()
        self.start, self.rows = start, stop - start
        self.gather = ops.Gather()
        self.leave = LeaveParts(group)

    def construct(self, table: ms.Tensor, ids: ms.Tensor) -> ms.Tensor:
        """table [rows here, columns], ids int32 [n] of the whole table -> [n, columns]."""
        local, here = _local(ids, self.start, self.rows)
        here = repeat_column(ops.reshape(here, (-1, 1)), table.shape[1])
        return self.leave(self.gather(table, local, 0) * here)


class DividedCrossEntropy(nn.Cell):
    """`WeightedCrossEntropy` over classes of which each member of the group has some columns.

    The logits are never gathered: each row needs the largest logit, the sum of exponentials and the
    label's logit over the group (Shoeybi et al. 2019, section 3, "output embedding").
    """

    def __init__(self, group: Group, start: int, stop: int) -> None:
        super().__init__()
        self.start, self.columns = start, stop - start
        self.maximum = Maximum(group)
        self.sum = Sum(group)
        self.exp = ops.Exp()
        self.log = ops.Log()

    def construct(self, logits: ms.Tensor, labels: ms.Tensor, weights: ms.Tensor) -> tuple:
        """logits [rows, columns here], labels int32 [rows], weights [rows] -> (sum [], p here)."""
        largest = self.maximum(ops.amax(logits, 1))
        shifted = logits - self.across(largest)
        exponentials = self.exp(shifted)
        local, here = _local(labels, self.start, self.columns)
        picked = ops.gather_elements(shifted, 1, ops.reshape(local, (-1, 1)))
        # Two sums at once: exponentials, and the label's logit from the member that has it.
        both = ops.stack([ops.sum(exponentials, 1), ops.reshape(picked, (-1,)) * here])
        totals = self.sum(both)
        loss = ops.sum((self.log(totals[0]) - totals[1]) * weights)
        return loss, exponentials / self.across(totals[0])

    def across(self, values: ms.Tensor) -> ms.Tensor:
        """[rows] -> [rows, columns here]."""
        return repeat_column(ops.reshape(values, (-1, 1)), self.columns)

    def bprop(
        self, logits: ms.Tensor, labels: ms.Tensor, weights: ms.Tensor, out: tuple, dout: tuple
    ) -> tuple:
        """dlogits = weight * (softmax - one-hot), of the columns here."""
        one_hot = ops.one_hot(
            labels - self.start,
            self.columns,
            ms.Tensor(1.0, logits.dtype),
            ms.Tensor(0.0, logits.dtype),
        )
        dlogits = (out[1] - one_hot) * self.across(weights * dout[0])
        return dlogits, ops.zeros_like(labels), ops.zeros_like(weights)


class DividedMostLikely(nn.Cell):
    """`MostLikely` over columns that are divided over the group."""

    def __init__(self, group: Group, start: int) -> None:
        super().__init__()
        self.start = start
        self.gather = Gather(group)

    def construct(self, logits: ms.Tensor) -> ms.Tensor:
        """[rows, columns here] -> int32 [rows], numbers in the whole vocabulary."""
        best = ops.cast(ops.argmax(logits, -1) + self.start, ms.float32)
        both = self.gather(ops.stack([ops.amax(logits, 1), best]))
        winner = ops.reshape(ops.argmax(both[:, 0], 0), (1, -1))
        return ops.cast(ops.gather_elements(both[:, 1], 0, winner)[0], ms.int32)


def _local(ids: ms.Tensor, start: int, count: int) -> tuple[ms.Tensor, ms.Tensor]:
    """Ids as numbers within [start, start + count), and 1.0 where they are in it, else 0.0."""
    shifted = ids - start
    here = ops.logical_and(ops.ge(shifted, 0), ops.lt(shifted, count))
    flags = ops.cast(here, ms.float32)
    return shifted * ops.cast(here, shifted.dtype), flags
