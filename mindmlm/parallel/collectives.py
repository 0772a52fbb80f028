"""Communication between ranks: the only file that knows what the back-end offers.

On Ascend the native operators are used. MindSpore's CPU back-end sums float32 over any group and
nothing else, so there everything is made from that sum: a gather adds up buffers that are zero but
for each rank's own place, a transfer is a sum to which the receiver adds zeros, a maximum is taken
of a gather. A group of one rank returns its input.

The gradient of MindSpore's own all-reduce is another all-reduce, too large by the size of the
group for cuts inside of a model; so every Cell here that stands inside of one has its own.
"""

from collections.abc import Sequence

import mindspore as ms
import numpy as np
from mindspore import nn, ops

from mindmlm.parallel.groups import Group
from mindmlm.parallel.layout import ParallelLayout

# Names of the groups that this process has made; MindSpore keeps them as long as it lives.
_created: set[str] = set()


def create_groups(layout: ParallelLayout, rank: int) -> None:
    """Make MindSpore's groups for all groups of the layout that `rank` belongs to.

    Groups that another layout has made before are used again.
    """
    if layout.world_size == 1:
        return
    from mindspore.communication import create_group

    for ranks in (tuple(range(layout.world_size)), *layout.all_groups()):
        name = Group(ranks, rank).name
        if rank in ranks and name not in _created:
            create_group(name, list(ranks))
            _created.add(name)


def is_native() -> bool:
    """Whether the back-end has all collective operators (Ascend), or the sum alone (CPU)."""
    return ms.get_context("device_target") != "CPU"


class Sum(nn.Cell):
    """Sum over the group, the same on all members. Outside of models: it has no gradient."""

    def __init__(self, group: Group) -> None:
        super().__init__()
        self.alone = group.size == 1
        if not self.alone:
            self.all_reduce = ops.AllReduce(ops.ReduceOp.SUM, group.name)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Return the sum of the members' x."""
        return x if self.alone else self.all_reduce(x)


class EnterParts(nn.Cell):
    """From whole activations to work that is divided over the group.

    The identity; its gradient is the sum over the parts (Shoeybi et al. 2019, the function f).
    """

    def __init__(self, group: Group) -> None:
        super().__init__()
        self.sum = Sum(group)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Return x."""
        return x

    def bprop(self, x: ms.Tensor, out: ms.Tensor, dout: ms.Tensor) -> tuple:
        """Sum of the parts' gradients."""
        return (self.sum(dout),)


class LeaveParts(nn.Cell):
    """From partial sums to whole activations (the function g of the same paper).

    The sum over the group; its gradient is the identity.
    """

    def __init__(self, group: Group) -> None:
        super().__init__()
        self.sum = Sum(group)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Return the sum of the members' x."""
        return self.sum(x)

    def bprop(self, x: ms.Tensor, out: ms.Tensor, dout: ms.Tensor) -> tuple:
        """The gradient as it is."""
        return (dout,)


class Gather(nn.Cell):
    """x of every member, [size, *shape of x], the same on all members. It has no gradient.

    Made from a sum (CPU), it takes the sign of a zero away and makes subnormal numbers zero.
    """

    def __init__(self, group: Group) -> None:
        super().__init__()
        self.size, self.index = group.size, group.index
        self.native = is_native()
        self.sum = Sum(group)
        if self.native and self.size > 1:
            self.all_gather = ops.AllGather(group.name)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Return [size, *x.shape]."""
        row = ops.expand_dims(x, 0)
        if self.size == 1:
            return row
        if self.native:
            return self.all_gather(row)
        parts = []
        if self.index > 0:
            parts.append(ops.zeros((self.index, *x.shape), x.dtype))
        parts.append(row)
        if self.index < self.size - 1:
            parts.append(ops.zeros((self.size - 1 - self.index, *x.shape), x.dtype))
        return self.sum(ops.concat(parts, 0))


class SumAndScatter(nn.Cell):
    """x [size, *shape] of every member -> this member's row of the sum. It has no gradient."""

    def __init__(self, group: Group) -> None:
        super().__init__()
        self.size, self.index = group.size, group.index
        self.native = is_native()
        self.sum = Sum(group)
        if self.native and self.size > 1:
            self.reduce_scatter = ops.ReduceScatter(ops.ReduceOp.SUM, group.name)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Return the row [*shape]."""
        if self.native and self.size > 1:
            return self.reduce_scatter(x)[0]
        return self.sum(x)[self.index]


class Maximum(nn.Cell):
    """Largest value over the group, element by element. It has no gradient."""

    def __init__(self, group: Group) -> None:
        super().__init__()
        self.native = is_native() and group.size > 1
        if self.native:
            self.all_reduce = ops.AllReduce(ops.ReduceOp.MAX, group.name)
        else:
            self.gather = Gather(group)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Return the maximum of the members' x."""
        return self.all_reduce(x) if self.native else ops.amax(self.gather(x), 0)


class _NativeSend(nn.Cell):
    def __init__(self, group: Group, receiver: int) -> None:
        super().__init__()
        self.send = ops.Send(0, group.ranks.index(receiver), group.name)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        return ops.depend(x, self.send(x))


class _NativeReceive(nn.Cell):
    def __init__(self, group: Group, sender: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        index = group.ranks.index(sender)
        self.receive = ops.Receive(0, index, list(shape), ms.float32, group.name)

    def construct(self) -> ms.Tensor:
        return self.receive()


class Channel:
    """Transfers of float32 tensors between two ranks, in an order that both keep.

    Args:
        ranks: the two.
        rank: which of them this process is.
    """

    def __init__(self, ranks: tuple[int, int], rank: int) -> None:
        self.group = Group(ranks, rank)
        self.other = ranks[1 - self.group.index]
        self._sum = Sum(self.group)
        self._native: dict[object, nn.Cell] = {}
        self._zeros: dict[tuple[int, ...], ms.Tensor] = {}

    def send(self, x: ms.Tensor) -> None:
        """Hand x over; returns when the other rank has it."""
        if is_native():
            self._native.setdefault("send", _NativeSend(self.group, self.other))(x)
        else:
            self._sum(x)

    def receive(self, shape: tuple[int, ...]) -> ms.Tensor:
        """Wait for a tensor of this shape."""
        if is_native():
            cell = self._native.setdefault(shape, _NativeReceive(self.group, self.other, shape))
            return cell()
        if shape not in self._zeros:
            self._zeros[shape] = ms.Tensor(np.zeros(shape, np.float32))
        return self._sum(self._zeros[shape])


class HostGather:
    """Numbers of every rank, exact to the bit, as a numpy array on all of them.

    The bytes travel as small whole numbers, which a float32 sum leaves as they are.
    """

    def __init__(self, group: Group) -> None:
        self._group = group
        self._gather = Gather(group)

    def __call__(self, values: Sequence[float] | np.ndarray) -> np.ndarray:
        """Values [n] (any numpy type, float64 by default) -> [size, n], in order of the members."""
        mine = np.ascontiguousarray(values)
        if self._group.size == 1:
            return mine[None]
        data = mine.view(np.uint8).astype(np.float32)
        rows = self._gather(ms.Tensor(data)).asnumpy()
        return np.ascontiguousarray(rows.astype(np.uint8)).view(mine.dtype)

    def texts(self, text: str) -> list[str]:
        """A text of every rank."""
        data = text.encode("utf-8")
        lengths = self(np.array([len(data)], np.int64))[:, 0]
        # Few lengths: each one is a graph of its own to compile.
        padded = np.zeros(1 << int(lengths.max()).bit_length(), np.uint8)
        padded[: len(data)] = np.frombuffer(data, np.uint8)
        rows = self(padded)
        return [
            row[:length].tobytes().decode("utf-8")
            for row, length in zip(rows, lengths, strict=True)
        ]
