"""Distributions and draws, beside transformers' logits processors and exact probabilities."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from transformers.generation import logits_process

from mindmlm.config.schema.generation import GenerationConfig
from mindmlm.inference.generation import filters
from mindmlm.inference.generation.drawing import draw, uniform

seeds = st.integers(0, 2**32 - 1)


def random_logits(seed, rows=3, vocab=200, scale=3.0):
    return np.random.default_rng(seed).normal(0, scale, (rows, vocab)).astype(np.float32)


def huggingface_scores(logits, seen, penalty, temperature, top_k, top_p):
    """As `GenerationMixin._get_logits_processor` orders them."""
    scores, ids = torch.from_numpy(logits.copy()), torch.from_numpy(seen)
    steps = [logits_process.RepetitionPenaltyLogitsProcessor(penalty)]
    steps += [logits_process.TemperatureLogitsWarper(temperature)]
    steps += [logits_process.TopKLogitsWarper(top_k)] if top_k else []
    steps += [logits_process.TopPLogitsWarper(top_p)] if top_p < 1 else []
    for step in steps:
        scores = step(ids, scores)
    return scores.numpy()


@settings(max_examples=60, deadline=None)
@given(
    seed=seeds,
    penalty=st.floats(0.5, 3.0),
    temperature=st.floats(0.2, 3.0),
    top_k=st.sampled_from([0, 1, 7, 50, 1000]),
    top_p=st.sampled_from([1.0, 0.95, 0.9, 0.5, 0.1, 1e-6]),
)
def test_the_distribution_is_that_of_transformers(seed, penalty, temperature, top_k, top_p):
    logits = random_logits(seed)
    seen = np.random.default_rng(seed + 1).integers(0, logits.shape[1], (3, 11))
    section = GenerationConfig(temperature=temperature, top_k=top_k, top_p=top_p, do_sample=True)
    ours = filters.penalise_repetition(logits, list(seen), penalty)
    ours = filters.for_sampling(ours, section)
    theirs = huggingface_scores(logits, seen, penalty, temperature, top_k, top_p)
    np.testing.assert_array_equal(np.isfinite(ours), np.isfinite(theirs))
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)
    expected = torch.softmax(torch.from_numpy(theirs).double(), -1).numpy()
    np.testing.assert_allclose(filters.probabilities(ours), expected, rtol=2e-5, atol=1e-12)


@settings(max_examples=20, deadline=None)
@given(seed=seeds, top_p=st.sampled_from([0.3, 0.9, 0.999]), scale=st.sampled_from([0.1, 2.0]))
def test_top_p_of_a_large_vocabulary_by_its_definition(seed, top_p, scale):
    (logits,) = random_logits(seed, rows=1, vocab=5000, scale=scale)
    kept = np.isfinite(filters.keep_top_p(logits[None], top_p)[0])
    chances = filters.probabilities(logits)
    order = np.argsort(-chances)
    sums = np.cumsum(chances[order])
    fewest = int(np.searchsorted(sums, top_p)) + 1
    assert set(np.flatnonzero(kept)) == set(order[:fewest])


def test_a_penalty_counts_a_token_once_and_pulls_both_signs_down():
    logits = np.array([[2.0, -2.0, 1.0, -1.0]], np.float32)
    found = filters.penalise_repetition(logits, [np.array([0, 1, 0, 1])], 2.0)
    np.testing.assert_array_equal(found, [[1.0, -4.0, 1.0, -1.0]])
    np.testing.assert_array_equal(logits, [[2.0, -2.0, 1.0, -1.0]])


def test_log_softmax_is_torchs():
    logits = random_logits(3, vocab=5000)
    theirs = torch.log_softmax(torch.from_numpy(logits), -1).numpy()
    found = filters.log_softmax(logits)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, theirs, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    "options", [{"top_k": 0}, {"top_k": 5}, {"top_p": 0.8, "top_k": 0}, {"temperature": 0.5}]
)
def test_draws_follow_the_exact_probabilities(options):
    section = GenerationConfig(do_sample=True, **options)
    logits = filters.for_sampling(random_logits(5, rows=1, vocab=12, scale=1.0), section)[0]
    count = 20_000
    drawn = [draw(logits, uniform(7, number, 3)) for number in range(count)]
    found = np.bincount(drawn, minlength=12)
    expected = filters.probabilities(logits) * count
    assert found[expected == 0].sum() == 0
    some = expected > 0
    assert stats.chisquare(found[some], expected[some]).pvalue > 1e-3


def test_the_ends_of_the_interval_are_tokens_that_may_be_drawn():
    logits = np.array([-np.inf, 0.0, 1.0, -np.inf], np.float32)
    assert draw(logits, 0.0) == 1
    assert draw(logits, np.nextafter(1.0, 0.0)) == 2
    share = 1 / (1 + np.e)
    assert [draw(logits, share - 1e-6), draw(logits, share + 1e-6)] == [1, 2]


def test_draws_depend_on_seed_sequence_and_step_alone():
    numbers = {
        (seed, sequence, step): uniform(seed, sequence, step)
        for seed in (0, 1, 2**32 - 1)
        for sequence in range(20)
        for step in range(20)
    }
    assert len(set(numbers.values())) == len(numbers)
    assert all(uniform(*place) == number for place, number in numbers.items())
    assert stats.kstest(list(numbers.values()), "uniform").pvalue > 1e-3
