"""Initial values are a function of the seed and the parameter's name."""

import numpy as np
import pytest

from mindmlm.models.initialization import initial_value


def test_biases_are_zero_and_norms_one():
    assert not initial_value("bert.layers.0.output.bias", (7,), 1, 0.5).any()
    assert not initial_value("head.norm.bias", (7,), 1, 0.5).any()
    for name in ("head.norm.weight", "bert.layers.3.attention_norm.weight"):
        assert (initial_value(name, (7,), 1, 0.5) == 1.0).all()


@pytest.mark.parametrize("deviation", [0.02, 0.5])
def test_weights_are_normal_with_the_given_deviation(deviation):
    value = initial_value("bert.embeddings.word", (1000, 300), 42, deviation)
    assert value.dtype == np.float32
    count = value.size
    assert abs(value.mean()) <= 5 * deviation / np.sqrt(count)
    assert abs(value.std() / deviation - 1) <= 5 / np.sqrt(2 * count)
    # The share within one standard deviation of a normal distribution.
    assert abs((np.abs(value) < deviation).mean() - 0.6827) < 0.005


def test_seed_and_name_choose_the_values():
    first = initial_value("a.weight", (50, 40), 1, 1.0)
    np.testing.assert_array_equal(first, initial_value("a.weight", (50, 40), 1, 1.0))
    for other in (
        initial_value("b.weight", (50, 40), 1, 1.0),
        initial_value("a.weight", (50, 40), 2, 1.0),
    ):
        assert abs(np.corrcoef(first.ravel(), other.ravel())[0, 1]) < 0.1
