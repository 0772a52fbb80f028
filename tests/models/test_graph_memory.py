"""Operators must not keep memory for as long as their graph lives; it adds up over layers."""

import os
from pathlib import Path

import numpy as np
import pytest

ROWS, COLUMNS = 4096, 1024
BYTES = 4 * ROWS * COLUMNS


def resident() -> int:
    """Bytes of memory that this process has."""
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def grown(make, *inputs) -> int:
    """Bytes by which memory grows with another graph of the same kind that has run."""
    kept = []
    before = 0
    for number in range(4):
        # The first ones fill the pool of memory that all share.
        if number == 2:
            before = resident()
        cell = make()
        cell(*inputs).asnumpy()
        kept.append(cell)
    return (resident() - before) // 2


@pytest.fixture
def operators(graph_mode):
    import mindspore as ms
    from mindspore import nn, ops

    from mindmlm.models import functional

    class Gradient(nn.Cell):
        """Gradient of the sum of a Cell's first result, by its first input."""

        def __init__(self, inner):
            super().__init__()
            self.inner = inner
            self.gradient = ops.GradOperation()

        def construct(self, *inputs):
            return self.gradient(self.inner)(*inputs)

    class Normalize(nn.Cell):
        def __init__(self):
            super().__init__()
            self.normalize = functional.Normalize(1e-12)

        def construct(self, x, row):
            return self.normalize(x, row, row)[0] * x

    class Softmax(nn.Cell):
        def __init__(self):
            super().__init__()
            self.softmax = functional.Softmax()

        def construct(self, x, row):
            return self.softmax(x) * x

    class Heads(nn.Cell):
        def __init__(self):
            super().__init__()
            self.split, self.join = functional.SplitHeads(64), functional.JoinHeads()

        def construct(self, x, row):
            heads = self.split(ops.reshape(x, (8, -1, COLUMNS)))
            return ops.reshape(self.join(heads * heads), x.shape) * x

    class Broadcast(nn.Cell):
        def construct(self, x, row):
            return x * row * x

    x = np.random.default_rng(3).normal(size=(ROWS, COLUMNS)).astype(np.float32)
    inputs = (ms.Tensor(x), ms.Tensor(x[0]))
    kinds = {
        "normalize": Normalize,
        "softmax": Softmax,
        "heads": Heads,
        "broadcast": Broadcast,
    }
    return {
        name: grown(lambda kind=kind: Gradient(kind()), *inputs) for name, kind in kinds.items()
    }


def test_graphs_share_their_memory(operators):
    for name in ("normalize", "softmax", "heads"):
        assert operators[name] < BYTES, name
    # What the others avoid: two tables of eight bytes a value, for each broadcast.
    assert operators["broadcast"] > 3 * BYTES
