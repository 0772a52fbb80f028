"""LAMB against a statement of it in numpy; its norms are those of whole parameters."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Parameter, nn

from mindmlm.optim.lamb import Lamb
from mindmlm.optim.moments import FIRST_MOMENT, MomentSettings

pytestmark = pytest.mark.usefixtures("graph_mode")

SHAPES = {"dense.weight": (7, 5), "dense.bias": (7,), "norm.weight": (5,), "word": (11, 5)}
ADAPTED = ("dense.weight", "word")
STEPS = 12


class Alone(nn.Cell):
    """All blocks are here."""

    def construct(self, values: ms.Tensor) -> ms.Tensor:
        return values


def in_numpy(values, moments, gradients, learning_rate, number, settings):
    """Algorithm 2 of the paper in float64; step `number` counts from 1."""
    for name, gradient in gradients.items():
        first, second = moments[name]
        first = settings.beta1 * first + (1 - settings.beta1) * gradient
        second = settings.beta2 * second + (1 - settings.beta2) * gradient**2
        moments[name] = (first, second)
        unbiased = first / (1 - settings.beta1**number), second / (1 - settings.beta2**number)
        update = unbiased[0] / (np.sqrt(unbiased[1]) + settings.eps)
        ratio = 1.0
        if name in ADAPTED:
            update = update + settings.weight_decay * values[name]
            norms = np.linalg.norm(values[name]), np.linalg.norm(update)
            ratio = norms[0] / norms[1] if all(norms) else 1.0
        values[name] = values[name] - learning_rate * ratio * update


@pytest.mark.parametrize(
    "settings",
    [MomentSettings(), MomentSettings(beta1=0.8, beta2=0.95, eps=1e-4, weight_decay=0.3)],
    ids=["defaults", "others"],
)
def test_updates_equal_the_paper(settings):
    random = np.random.default_rng(4)
    start = {name: random.standard_normal(s).astype(np.float32) for name, s in SHAPES.items()}
    start["word"][:] = 0.0  # a norm of zero: its ratio is 1
    ours = [Parameter(ms.Tensor(value), name=name) for name, value in start.items()]
    optimizer = Lamb(ours, settings, Alone())
    values = {name: value.astype(np.float64) for name, value in start.items()}
    moments = {name: (np.zeros(s), np.zeros(s)) for name, s in SHAPES.items()}
    for step in range(STEPS):
        learning_rate, factor = float(random.uniform(1e-3, 0.1)), 0.25
        gradients = {
            name: (random.standard_normal(s) * 10.0 ** random.integers(-3, 2)).astype(np.float32)
            for name, s in SHAPES.items()
        }
        optimizer(
            *optimizer.scalars(learning_rate, step),
            ms.Tensor(factor, ms.float32),
            *map(ms.Tensor, gradients.values()),
        ).asnumpy()
        scaled = {name: factor * value.astype(np.float64) for name, value in gradients.items()}
        in_numpy(values, moments, scaled, learning_rate, step + 1, settings)
    for parameter in ours:
        expected = values[parameter.name]
        difference = np.abs(parameter.asnumpy() - expected).max()
        assert difference <= 1e-5 * np.abs(expected).max(), parameter.name
    for moment in optimizer.state()[: len(ours)]:
        expected = moments[moment.name.removeprefix(FIRST_MOMENT)][0]
        np.testing.assert_allclose(moment.asnumpy(), expected, rtol=1e-4, atol=1e-6)


class Doubled(nn.Cell):
    """Another rank has a block of the same norm of the first and last parameters."""

    def construct(self, values: ms.Tensor) -> ms.Tensor:
        return values * ms.Tensor([[4.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 16.0]], ms.float32)


def test_the_ratio_is_made_of_what_the_ranks_sum_up():
    random = np.random.default_rng(9)
    start = {name: random.standard_normal(s).astype(np.float32) for name, s in SHAPES.items()}
    gradients = [ms.Tensor(random.standard_normal(s).astype(np.float32)) for s in SHAPES.values()]
    steps = []
    for sums in (Alone(), Doubled()):
        ours = [Parameter(ms.Tensor(value), name=name) for name, value in start.items()]
        optimizer = Lamb(ours, MomentSettings(), sums)
        optimizer(*optimizer.scalars(0.1, 0), ms.Tensor(1.0, ms.float32), *gradients).asnumpy()
        steps.append({v.name: v.asnumpy() - start[v.name] for v in ours})
    for name, factor in {"dense.weight": 2.0, "dense.bias": 1.0, "word": 0.25}.items():
        np.testing.assert_allclose(steps[1][name], factor * steps[0][name], rtol=1e-3, atol=1e-6)
