"""Three ranks that try every collective; prints a JSON object: check -> what was wrong, or "".

Each check talks first and compares afterwards, so that one that fails leaves nobody waiting. Every
rank makes the inputs of all from a seed, and so knows what has to come out.
"""

import json
import traceback

import mindspore as ms
import numpy as np
from mindspore import nn, ops

from mindmlm.errors import DataError, MindmlmError
from mindmlm.models.functional import Lookup, MostLikely
from mindmlm.models.losses import WeightedCrossEntropy
from mindmlm.parallel.agreement import Agreement
from mindmlm.parallel.buckets import Entry, GatherWeights, ReduceGradients, part_shape
from mindmlm.parallel.collectives import (
    Channel,
    EnterParts,
    Gather,
    HostGather,
    LeaveParts,
    Maximum,
    Sum,
    SumAndScatter,
    create_groups,
)
from mindmlm.parallel.groups import Group
from mindmlm.parallel.layout import ParallelLayout, cut
from mindmlm.parallel.place import Place
from mindmlm.parallel.tensor import DividedCrossEntropy, DividedLookup, DividedMostLikely
from mindmlm.runtime.context import initialise
from mindmlm.runtime.world import join_world

RANKS = 3


def groups_of(rank):
    """The world, and pairs of it; a rank that is not in a pair is alone."""
    found = [Group((0, 1, 2), rank)]
    for pair in ((0, 1), (0, 2)):
        found.append(Group(pair if rank in pair else (rank,), rank))
    return found


def inputs(seed, shape=(2, 5), kind=np.float32):
    """An array of each rank."""
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape).astype(kind) for _ in range(RANKS)]


def run(cell, x):
    return cell(ms.Tensor(x)).asnumpy()


def equal(found, expected):
    assert found.shape == expected.shape, (found.shape, expected.shape)
    assert found.dtype == expected.dtype
    assert np.array_equal(found, expected, equal_nan=True), (found, expected)


def close(found, expected, tolerance=1e-6):
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


def check_sum(rank):
    for group in groups_of(rank):
        # Whole numbers: every order of adding gives the same.
        rows = [np.round(row * 100) for row in inputs(1)]
        rows[0][0, 0], rows[-1][1, 1] = np.inf, np.nan
        found = run(Sum(group), rows[rank])
        equal(found, np.sum([rows[member] for member in group.ranks], axis=0, dtype=np.float32))


def check_gather(rank):
    for group in groups_of(rank):
        rows = inputs(2, (3, 2))
        rows[1][0], rows[2][1] = [np.nan, -np.inf], [2e-38, 3e38]
        equal(run(Gather(group), rows[rank]), np.stack([rows[member] for member in group.ranks]))


def check_sum_and_scatter(rank):
    for group in groups_of(rank):
        rows = [np.round(row * 100) for row in inputs(3, (group.size, 4, 2))]
        found = run(SumAndScatter(group), rows[rank])
        equal(found, sum(rows[member] for member in group.ranks)[group.index])


def check_maximum(rank):
    for group in groups_of(rank):
        rows = inputs(4, (7,))
        for row in rows:
            row[:2] = -np.abs(row[:2]) - 1.0  # no zero of a buffer may win
            row[2] = -np.inf
        found = run(Maximum(group), rows[rank])
        equal(found, np.max([rows[member] for member in group.ranks], axis=0))


class Through(nn.Cell):
    """sum(x * inside(x)) with a cell in between, whose gradient shows what it does."""

    def __init__(self, cell):
        super().__init__()
        self.cell = cell

    def construct(self, x, factor):
        return ops.sum(self.cell(x) * factor)


def check_gradients_of_parts(rank):
    for group in groups_of(rank):
        rows, factors = inputs(5), [np.round(row * 100) for row in inputs(6)]
        x, factor = ms.Tensor(rows[rank]), ms.Tensor(factors[rank])
        members = [factors[member] for member in group.ranks]
        equal(run(EnterParts(group), rows[rank]), rows[rank])
        close(run(LeaveParts(group), rows[rank]), sum(rows[member] for member in group.ranks))
        entering = ops.grad(Through(EnterParts(group)))(x, factor).asnumpy()
        equal(entering, np.sum(members, axis=0, dtype=np.float32))
        leaving = ops.grad(Through(LeaveParts(group)))(x, factor).asnumpy()
        equal(leaving, factors[rank])


def check_host_gather_is_exact(rank):
    rng = np.random.default_rng(7)
    special = np.array([np.nan, -np.nan, np.inf, -np.inf, -0.0, 0.0, 5e-324, 1.7e308])
    payload = np.array([0x7FF8DEADBEEF0001], np.uint64).view(np.float64)
    numbers = np.iinfo(np.int64)
    values = [
        np.concatenate([special, payload, rng.standard_normal(5)]),
        np.array([numbers.min, numbers.max, -1, 0, 2**53 + 1], np.int64),
        rng.integers(0, 256, 300).astype(np.uint8),
        rng.standard_normal(9).astype(np.float32),
        rng.random(4) < 0.5,
    ]
    for group in groups_of(rank):
        gather = HostGather(group)
        for value in values:
            rows = [np.roll(value, member) for member in range(RANKS)]
            found = gather(rows[rank])
            expected = np.stack([rows[member] for member in group.ranks])
            assert found.dtype == expected.dtype
            assert found.tobytes() == expected.tobytes(), (found, expected)
    # A list is float64.
    assert gather([1, 2.5]).dtype == np.float64


def check_texts(rank):
    for group in groups_of(rank):
        gather = HostGather(group)
        for texts in (
            ["", "", ""],
            ["", "鸟儿在天上飞。\n", "a"],
            ["x" * 5000, "", "\x00 zero byte 🐦"],
        ):
            assert gather.texts(texts[rank]) == [texts[member] for member in group.ranks]


def check_channel(rank):
    """A tensor goes around 0 -> 1 -> 2, with other shapes on the way back."""
    rows, back = inputs(8, (4, 3)), inputs(9, (2, 3))
    rows[0][0, 0] = np.nan
    below = Channel((rank - 1, rank), rank) if rank else None
    above = Channel((rank, rank + 1), rank) if rank < RANKS - 1 else None
    found = []
    for _ in range(2):
        if below:
            found.append((below.receive((4, 3)).asnumpy(), rows[rank - 1]))
        if above:
            above.send(ms.Tensor(rows[rank]))
            found.append((above.receive((2, 3)).asnumpy(), back[rank + 1]))
        if below:
            below.send(ms.Tensor(back[rank]))
    for mine, expected in found:
        equal(mine, expected)


def check_agreement(rank):
    agreement = Agreement(Place(ParallelLayout(RANKS), rank))
    assert agreement.sums([0.1 * rank, 1e16 if rank else -1e16], counts=rank > 0) == [
        0.1 + 0.2,
        2e16,
    ]
    assert agreement.sums([1.0], counts=False) == [0.0] or rank >= 0
    assert agreement.rows([rank, -rank]).tolist() == [[0, 0], [1, -1], [2, -2]]
    assert agreement.from_main(f"from {rank}") == "from 0"
    assert agreement.texts(f"是{rank}") == ["是0", "是1", "是2"]
    agreement.raise_together(None)
    error = DataError("no text") if rank == 1 else None
    try:
        agreement.raise_together(error)
    except MindmlmError as caught:
        assert (caught is error) == (rank == 1)
        assert rank == 1 or str(caught) == "stopped with rank 1, which says: no text"
    else:
        raise AssertionError("nothing was raised")


def check_lookup(rank):
    rng = np.random.default_rng(10)
    table = rng.standard_normal((71, 6)).astype(np.float32)
    # Every border of every cut is among them.
    ids = np.concatenate([np.arange(71), rng.integers(0, 71, 30)]).astype(np.int32)
    factor = ms.Tensor(rng.standard_normal((len(ids), 6)).astype(np.float32))
    whole = ops.grad(LookupSum(Lookup()))(ms.Tensor(table), ms.Tensor(ids), factor).asnumpy()
    for group in groups_of(rank):
        start, stop = cut(71, group.size, group.index)
        part, cell = ms.Tensor(table[start:stop]), DividedLookup(group, start, stop)
        equal(cell(part, ms.Tensor(ids)).asnumpy(), table[ids])
        found = ops.grad(LookupSum(DividedLookup(group, start, stop)))(
            part, ms.Tensor(ids), factor
        ).asnumpy()
        close(found, whole[start:stop])


class LookupSum(nn.Cell):
    def __init__(self, lookup):
        super().__init__()
        self.lookup = lookup

    def construct(self, table, ids, factor):
        return ops.sum(self.lookup(table, ids) * factor)


class Loss(nn.Cell):
    def __init__(self, cross_entropy):
        super().__init__()
        self.cross_entropy = cross_entropy

    def construct(self, logits, labels, weights):
        return self.cross_entropy(logits, labels, weights)[0] * 3.0


def check_cross_entropy(rank):
    rng = np.random.default_rng(11)
    logits = rng.standard_normal((80, 71)).astype(np.float32) * 4
    logits[3] *= 1000.0  # exp would overflow without the largest taken off
    logits[4] -= 5000.0
    labels = np.concatenate([np.arange(71), rng.integers(0, 71, 9)]).astype(np.int32)
    weights = (rng.random(80) < 0.8).astype(np.float32)
    loss, gradient = exact_cross_entropy(logits, labels, weights)
    others = ms.Tensor(labels), ms.Tensor(weights)
    whole = ops.value_and_grad(Loss(WeightedCrossEntropy()))(ms.Tensor(logits), *others)
    for group in groups_of(rank):
        start, stop = cut(71, group.size, group.index)
        divided = ops.value_and_grad(Loss(DividedCrossEntropy(group, start, stop)))
        mine, found = divided(ms.Tensor(logits[:, start:stop]), *others)
        close(mine.asnumpy(), loss)
        close(found.asnumpy(), gradient[:, start:stop])
        close(found.asnumpy(), whole[1].asnumpy()[:, start:stop], 1e-5)


def exact_cross_entropy(logits, labels, weights):
    """3 x the loss and its gradient in float64."""
    rows, shifted = np.arange(len(labels)), logits.astype(np.float64)
    shifted -= shifted.max(1, keepdims=True)
    probabilities = np.exp(shifted) / np.exp(shifted).sum(1, keepdims=True)
    picked = shifted[rows, labels] - np.log(np.exp(shifted).sum(1))
    gradient = probabilities * 3.0
    gradient[rows, labels] -= 3.0
    return -3.0 * (picked * weights).sum(), gradient * weights[:, None]


def check_most_likely(rank):
    rng = np.random.default_rng(12)
    logits = rng.standard_normal((60, 71)).astype(np.float32)
    logits[:10] = np.round(logits[:10])  # ties, within a part and between parts
    logits[10] = -np.abs(logits[10]) - 1.0
    logits[11] = 0.0
    expected = MostLikely()(ms.Tensor(logits)).asnumpy()
    for group in groups_of(rank):
        start, stop = cut(71, group.size, group.index)
        cell = DividedMostLikely(group, start)
        equal(cell(ms.Tensor(logits[:, start:stop])).asnumpy(), expected)


def check_buckets(rank):
    for number, group in enumerate(groups_of(rank)):
        rng = np.random.default_rng([13, number])
        n = group.size
        entries = [
            Entry((4 * n, 3), 0),
            Entry((5,), None),
            Entry((2, 3 * n), 1),
            Entry((2, 2 * n, 3), 1),
            Entry((), None),
            Entry((n,), 0),
        ]
        rows = [
            [
                np.round(rng.standard_normal(entry.shape) * 100).astype(np.float32)
                for entry in entries
            ]
            for _ in range(RANKS)
        ]
        sums = [
            np.array(sum(rows[member][k] for member in group.ranks), np.float32)
            for k in range(len(entries))
        ]
        for count in (1, 2, 9):
            reduce = ReduceGradients(entries, group, count)
            found = reduce(*(ms.Tensor(value) for value in rows[rank]))
            for mine, total, entry in zip(found, sums, entries, strict=True):
                equal(mine.asnumpy(), part_of(total, entry, group))
            check_weights_come_back(entries, sums, group, count)


def part_of(whole, entry, group):
    if entry.axis is None:
        return whole
    return np.split(whole, group.size, entry.axis)[group.index]


def check_weights_come_back(entries, wholes, group, count):
    cut_ones = [(e, w) for e, w in zip(entries, wholes, strict=True) if e.axis is not None]
    parts = [
        ms.Parameter(ms.Tensor(part_of(whole, entry, group)), name=f"part{number}")
        for number, (entry, whole) in enumerate(cut_ones)
    ]
    assert [part.shape for part in parts] == [part_shape(e, group.size) for e, _ in cut_ones]
    weights = [
        ms.Parameter(ms.Tensor(np.zeros(entry.shape, np.float32)), name=f"whole{number}")
        for number, (entry, _) in enumerate(cut_ones)
    ]
    axes = [entry.axis for entry, _ in cut_ones]
    GatherWeights(parts, weights, axes, group, count)().asnumpy()
    for weight, (_, whole) in zip(weights, cut_ones, strict=True):
        equal(weight.asnumpy(), whole)


def main():
    initialise("CPU", device_id=0, mode=0)
    rank = join_world(use_parallel=True).rank
    layout = ParallelLayout(pipeline_stage=RANKS)
    create_groups(layout, rank)
    create_groups(layout, rank)  # of a second layout in the same process: nothing is made twice
    results = {}
    for name, check in list(globals().items()):
        if name.startswith("check_") and name != "check_weights_come_back":
            try:
                check(rank)
                results[name.removeprefix("check_")] = ""
            except Exception:
                results[name.removeprefix("check_")] = traceback.format_exc()
    print(json.dumps(results))


main()
