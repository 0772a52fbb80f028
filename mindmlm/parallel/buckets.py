"""Gradients and weights in fused buckets: few large messages instead of many small ones."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import mindspore as ms
from mindspore import Parameter, ParameterTuple, nn, ops

from mindmlm.parallel.balance import balance
from mindmlm.parallel.collectives import Gather, Sum, SumAndScatter
from mindmlm.parallel.groups import Group


@dataclass(frozen=True)
class Entry:
    """One tensor that all members of a group have.

    Args:
        shape: of it on each member.
        axis: along which it is cut into one part a member; None = it stays whole.
    """

    shape: tuple[int, ...]
    axis: int | None


def buckets(entries: Sequence[Entry], count: int) -> list[range]:
    """Consecutive entries in at most `count` groups of about the same size."""
    sizes = [math.prod(entry.shape) for entry in entries]
    return [range(*bounds) for bounds in balance(sizes, min(count, len(entries)))]


def part_shape(entry: Entry, parts: int) -> tuple[int, ...]:
    """Shape of what one member keeps."""
    if entry.axis is None:
        return entry.shape
    shape = list(entry.shape)
    shape[entry.axis] //= parts
    return tuple(shape)


class ReduceGradients(nn.Cell):
    """Sum of gradients over a group; each member gets its part of those that are cut.

    Args:
        entries: of the gradients.
        group: the data axis.
        count: number of buckets.
    """

    def __init__(self, entries: Sequence[Entry], group: Group, count: int) -> None:
        super().__init__()
        ranges = buckets(entries, count)
        self.bounds = tuple((bucket.start, bucket.stop) for bucket in ranges)
        self.reducers = nn.CellList(
            [_ReduceBucket([entries[index] for index in bucket], group) for bucket in ranges]
        )

    def construct(self, *gradients: ms.Tensor) -> tuple:
        """The sums, in order."""
        results: tuple = ()
        for number in range(len(self.bounds)):
            start, stop = self.bounds[number]
            results = results + self.reducers[number](*gradients[start:stop])
        return results


class _ReduceBucket(nn.Cell):
    """One message for what is cut, and one for what stays whole."""

    def __init__(self, entries: Sequence[Entry], group: Group) -> None:
        super().__init__()
        self.parts = group.size
        self.is_cut = tuple(entry.axis is not None for entry in entries)
        self.axes = tuple(entry.axis or 0 for entry in entries)
        self.shapes = tuple(part_shape(entry, group.size) for entry in entries)
        self.sizes = tuple(math.prod(shape) for shape in self.shapes)
        self.has_cut = any(self.is_cut)
        self.has_whole = not all(self.is_cut)
        self.sum = Sum(group)
        self.scatter = SumAndScatter(group)

    def construct(self, *gradients: ms.Tensor) -> tuple:
        cut: tuple = ()
        whole: tuple = ()
        for index in range(len(gradients)):
            if self.is_cut[index]:
                cut = (*cut, _to_rows(gradients[index], self.axes[index], self.parts))
            else:
                whole = (*whole, ops.reshape(gradients[index], (-1,)))
        cut_sums = self.scatter(ops.concat(cut, 1)) if self.has_cut else gradients[0]
        whole_sums = self.sum(ops.concat(whole, 0)) if self.has_whole else gradients[0]
        results: tuple = ()
        cut_at, whole_at = 0, 0
        for index in range(len(gradients)):
            size = self.sizes[index]
            if self.is_cut[index]:
                values = cut_sums[cut_at : cut_at + size]
                cut_at = cut_at + size
            else:
                values = whole_sums[whole_at : whole_at + size]
                whole_at = whole_at + size
            results = (*results, ops.reshape(values, self.shapes[index]))
        return results


class GatherWeights(nn.Cell):
    """Put the parts that the members have updated together, into every member's weights.

    Args:
        parts: this member's parts, of those weights that are cut.
        wholes: the weights they belong to.
        axes: along which each is cut.
        group: the data axis.
        count: number of buckets.
    """

    def __init__(
        self,
        parts: Sequence[Parameter],
        wholes: Sequence[Parameter],
        axes: Sequence[int],
        group: Group,
        count: int,
    ) -> None:
        super().__init__(auto_prefix=False)
        self.parts = ParameterTuple(parts)
        self.wholes = ParameterTuple(wholes)
        self.axes = tuple(axes)
        self.size = group.size
        entries = [Entry(whole.shape, axis) for whole, axis in zip(wholes, axes, strict=True)]
        self.bounds = tuple((bucket.start, bucket.stop) for bucket in buckets(entries, count))
        self.gather = Gather(group)
        self.assign = ops.Assign()

    def construct(self) -> ms.Tensor:
        """Assign every weight; the result only says that it is done."""
        done = ms.Tensor(0.0, ms.float32)
        for start, stop in self.bounds:
            flat: tuple = ()
            for index in range(start, stop):
                flat = (*flat, ops.reshape(self.parts[index], (-1,)))
            rows = self.gather(ops.concat(flat, 0))
            at = 0
            for index in range(start, stop):
                whole = self.wholes[index]
                size = math.prod(self.parts[index].shape)
                value = _from_rows(rows[:, at : at + size], self.axes[index], whole.shape)
                done = ops.depend(done, self.assign(whole, value))
                at = at + size
        return done


def _to_rows(x: ms.Tensor, axis: int, parts: int) -> ms.Tensor:
    """[..., n * parts, ...] -> [parts, size of a part]: row r is the r-th part along `axis`."""
    if axis == 0:
        return ops.reshape(x, (parts, -1))
    before, after = math.prod(x.shape[:axis]), math.prod(x.shape[axis:])
    return ops.reshape(
        ops.transpose(ops.reshape(x, (before, parts, after // parts)), (1, 0, 2)), (parts, -1)
    )


def _from_rows(rows: ms.Tensor, axis: int, shape: tuple[int, ...]) -> ms.Tensor:
    """Inverse of `_to_rows`."""
    if axis == 0:
        return ops.reshape(rows, shape)
    parts, before = rows.shape[0], math.prod(shape[:axis])
    return ops.reshape(ops.transpose(ops.reshape(rows, (parts, before, -1)), (1, 0, 2)), shape)
