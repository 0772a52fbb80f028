"""A loss of several terms: each is divided by its own count over the global batch."""

import mindspore as ms
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mindspore import Parameter, nn, ops

from mindmlm.parallel.micro_batch import LossTerm, MicroBatch, term_means, term_scales
from mindmlm.parallel.pipeline import StageGradients, StageLinks
from mindmlm.parallel.stage import StagePart
from mindmlm.training.train_step import batch_counts

TERMS = (LossTerm("first"), LossTerm("second", 50.0), LossTerm("share", 0.0))


@given(
    st.lists(st.tuples(*[st.floats(-9, 9)] * 3, *[st.integers(0, 9)] * 3), min_size=1, max_size=6),
    st.sampled_from([1.0, 3.0, 65536.0]),
)
def test_the_loss_is_the_same_however_the_batch_is_divided(parts, factor):
    table = np.array(parts, float)
    sums, counts = table[:, :3], table[:, 3:].sum(0)
    scaled = (sums * term_scales(TERMS, counts, factor)).sum(0)
    loss, means = term_means(TERMS, scaled, factor)
    expected = sums.sum(0) / np.maximum(counts, 1)
    assert list(means) == ["first", "second", "share"]
    np.testing.assert_allclose(list(means.values()), expected, rtol=1e-9, atol=1e-12)
    assert loss == pytest.approx(expected[0] + 50 * expected[1], rel=1e-9, abs=1e-9)


class _Terms(nn.Cell):
    """Sums over x of (w x), of (w x)^2, and how many w x are positive."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = Parameter(ms.Tensor([0.5, -0.25], ms.float32), name="weight")

    def construct(self, x, scale, values, chosen):
        products = self.weight * values
        terms = (
            ops.sum(products),
            ops.sum(products * products * chosen),
            ops.sum(ops.cast(products > 0, ms.float32)),
        )
        return ops.stack(terms) * scale


def test_gradients_are_those_of_the_weighted_sum_of_means(graph_mode):
    random = np.random.default_rng(5)
    values = random.normal(size=(3, 4, 2)).astype(np.float32)
    chosen = (random.random((3, 4, 2)) < 0.5).astype(np.float32)
    batches = [
        MicroBatch((v, c), (), (float(v.size), float(c.sum()), float(v.size)), 4, 4)
        for v, c in zip(values, chosen, strict=True)
    ]
    cell, factor = _Terms(), 8.0
    part = StagePart.with_loss(cell, [cell.weight], slice(0, 0))
    *counts, tokens = batch_counts(batches)
    scaled, (gradient,) = StageGradients([part], StageLinks(0, 1, 2))(
        batches, term_scales(TERMS, counts, factor)
    )
    loss, means = term_means(TERMS, scaled, factor)
    weight = np.array([0.5, -0.25])
    first = (weight * values).sum() / values.size
    second = ((weight * values) ** 2 * chosen).sum() / chosen.sum()
    share = (weight * values > 0).sum() / values.size
    assert tokens == 12
    np.testing.assert_allclose(list(means.values()), [first, second, share], rtol=1e-5)
    assert loss == pytest.approx(first + 50 * second, rel=1e-5)
    of_first = values.sum((0, 1)) / values.size
    of_second = (2 * weight * values**2 * chosen).sum((0, 1)) / chosen.sum()
    np.testing.assert_allclose(gradient.asnumpy() / factor, of_first + 50 * of_second, rtol=1e-4)
