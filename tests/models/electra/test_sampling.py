"""Sampled tokens: their distribution is the softmax, and the random numbers decide them."""

import mindspore as ms
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mindmlm.data.hashing import derive_keys
from mindmlm.data.replaced_tokens import uniform_draws
from mindmlm.models.electra.sampling import SampleTokens
from mindmlm.models.losses import WeightedBinaryCrossEntropy
from mindmlm.parallel.stage import ForwardBackward
from mindmlm.testing.tiny_electra import sampled_by_inversion

ROWS, VOCAB = 2000, 700
LARGEST = np.float32(1 - 2.0**-23)


@pytest.fixture(scope="module")
def sample(graph_mode):
    cells = {}

    def run(logits, draws, temperature=1.0):
        cell = cells.setdefault(temperature, SampleTokens(temperature))
        return cell(ms.Tensor(logits), ms.Tensor(draws)).asnumpy()

    return run


def draws_of(rows: int, seed: int = 1) -> np.ndarray:
    keys = derive_keys(seed, np.arange(rows))
    return uniform_draws(keys, np.zeros((rows, 1), np.int32))[:, 0]


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_frequencies_are_the_probabilities(sample, temperature):
    rng = np.random.default_rng(0)
    # A few likely tokens in every block, many unlikely ones.
    row = rng.normal(0, 2, VOCAB).astype(np.float32)
    tokens = np.concatenate(
        [sample(np.tile(row, (ROWS, 1)), draws_of(ROWS, seed), temperature) for seed in range(20)]
    )
    logits = row.astype(np.float64) / temperature
    probabilities = np.exp(logits - logits.max())
    probabilities /= probabilities.sum()
    counts = np.bincount(tokens, minlength=VOCAB)
    # Chi-square over tokens that are expected at least five times, the others as one.
    often = probabilities * len(tokens) >= 5
    expected = np.append(probabilities[often], probabilities[~often].sum()) * len(tokens)
    seen = np.append(counts[often], counts[~often].sum())
    statistic = ((seen - expected) ** 2 / expected).sum()
    freedom = len(expected) - 1
    assert abs(statistic - freedom) < 4 * np.sqrt(2 * freedom)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**31), spread=st.sampled_from([0.0, 0.1, 1.0, 5.0, 50.0]))
def test_tokens_equal_inversion_in_float64(sample, seed, spread):
    rng = np.random.default_rng(seed)
    logits = (rng.normal(0, 1, (64, VOCAB)) * spread).astype(np.float32)
    draws = draws_of(64, seed)
    expected = sampled_by_inversion(logits, draws)
    # A number so near to a border that float32 falls on its other side is rare.
    assert (sample(logits, draws) == expected).mean() >= 0.96


def test_tokens_without_probability_are_never_sampled(sample):
    logits = np.full((ROWS, VOCAB), -1000.0, np.float32)
    possible = np.array([0, 255, 256, 511, 699])
    logits[:, possible] = np.random.default_rng(3).normal(0, 1, (ROWS, 5))
    draws = draws_of(ROWS)
    draws[:4] = [[0, 0], [0, LARGEST], [LARGEST, 0], [LARGEST, LARGEST]]
    tokens = sample(logits, draws)
    assert set(tokens) == set(possible)
    assert tokens[:4].tolist() == [0, 255, 699, 699]
    ends = np.tile(np.array([[LARGEST, LARGEST]], np.float32), (ROWS, 1))
    rough = np.random.default_rng(4).normal(0, 3, (ROWS, VOCAB)).astype(np.float32)
    assert sample(rough, ends).max() < VOCAB


def test_uniform_numbers_are_a_function_of_their_coordinates():
    rows = np.arange(500)
    columns = np.tile(np.array([[3, 7, 0]], np.int32), (500, 1))
    numbers = uniform_draws(derive_keys(9, np.full(500, 4), rows), columns)
    assert numbers.shape == (500, 3, 2) and numbers.dtype == np.float32
    assert numbers.min() >= 0.0 and numbers.max() <= LARGEST
    assert len(np.unique(numbers)) > 2990
    assert abs(numbers.mean() - 0.5) < 0.02 and abs(numbers.std() - 12**-0.5) < 0.01
    assert abs(np.corrcoef(numbers[..., 0].ravel(), numbers[..., 1].ravel())[0, 1]) < 0.1
    again = uniform_draws(derive_keys(9, np.full(3, 4), rows[100:103]), columns[:3, ::-1])
    np.testing.assert_array_equal(again[:, ::-1], numbers[100:103])
    other = uniform_draws(derive_keys(9, np.full(500, 5), rows), columns)
    assert (other != numbers).mean() > 0.99


def test_binary_cross_entropy_and_its_gradient(graph_mode):
    rng = np.random.default_rng(2)
    logits = np.concatenate([rng.normal(0, 3, 40), [0.0, 90.0, -90.0, 0.0]]).astype(np.float32)
    labels = (rng.random(44) < 0.4).astype(np.float32)
    labels[-4:] = [1, 0, 1, 0]
    weights = (rng.random(44) < 0.8).astype(np.float32)
    step = ForwardBackward(WeightedBinaryCrossEntropy(), [])
    value, (gradient, _) = step(*(ms.Tensor(array) for array in (logits, labels, weights)))
    exact = logits.astype(np.float64)
    losses = np.logaddexp(0.0, exact) - exact * labels
    assert float(value.asnumpy()) == pytest.approx((losses * weights).sum(), rel=1e-6)
    sigmoid = 1 / (1 + np.exp(-exact))
    np.testing.assert_allclose(gradient.asnumpy(), (sigmoid - labels) * weights, atol=1e-6)
