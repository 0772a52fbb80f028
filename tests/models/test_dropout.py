"""Dropout masks: the right share, and a function of seed, step, sample and place alone."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mindmlm.config.schema.bert import BertModelConfig
from mindmlm.models.bert.dropout_sites import dropout_sites
from mindmlm.models.dropout import DropoutSite, keep_masks

SITES = [
    DropoutSite(0, 0, (8, 6), 0.1),
    DropoutSite(1, 0, (2, 8, 8), 0.3),
    DropoutSite(1, 1, (8, 6), 0.1),
]
seeds = st.integers(0, 2**32 - 1)
steps = st.integers(0, 2**31 - 1)


@settings(max_examples=50, deadline=None)
@given(seeds, steps, st.lists(st.integers(0, 10_000), min_size=1, max_size=6, unique=True))
def test_the_mask_of_a_sample_does_not_depend_on_its_batch(seed, step, samples):
    together = keep_masks(SITES, seed, step, np.array(samples))
    for row, sample in enumerate(samples):
        alone = keep_masks(SITES, seed, step, np.array([sample]))
        for mask, own in zip(together, alone, strict=True):
            np.testing.assert_array_equal(mask[row], own[0])


@pytest.mark.parametrize("probability", [0.0, 0.1, 0.37, 0.5, 0.99])
def test_the_share_of_kept_values(probability):
    site = DropoutSite(3, 1, (64, 512), probability)
    (mask,) = keep_masks([site], 5, 17, np.arange(40))
    assert mask.size >= 10**6
    expected = 1.0 - round(65536 * probability) / 65536
    # Five standard deviations of a binomial count.
    allowed = 5 * math.sqrt(expected * (1 - expected) / mask.size)
    assert abs(mask.mean() - expected) <= allowed
    per_sample = 5.5 * math.sqrt(expected * (1 - expected) / mask[0].size)
    assert np.abs(mask.mean((1, 2)) - expected).max() <= per_sample


def test_neighbouring_values_are_independent():
    (mask,) = keep_masks([DropoutSite(1, 0, (2000, 512), 0.5)], 1, 2, np.array([0]))
    values = mask[0].astype(np.float64) - 0.5
    allowed = 5 * 0.25 / math.sqrt(values.size)
    for shift in (1, 2, 3, 4, 5):
        assert abs((values[:, shift:] * values[:, :-shift]).mean()) <= allowed * 1.1
    assert abs((values[1:] * values[:-1]).mean()) <= allowed * 1.1


def test_masks_differ_by_seed_step_sample_layer_and_site():
    shape = (16, 64)
    masks = [
        keep_masks([DropoutSite(layer, site, shape, 0.5)], seed, step, np.array([sample]))[0]
        for seed in (0, 1)
        for step in (0, 1)
        for sample in (0, 1)
        for layer in (0, 1)
        for site in (0, 1)
    ]
    agreement = [
        (first == second).mean()
        for number, first in enumerate(masks)
        for second in masks[number + 1 :]
    ]
    # Unrelated masks agree on half of their values, give or take 6 standard deviations.
    assert len(agreement) == 32 * 31 // 2
    assert np.abs(np.array(agreement) - 0.5).max() < 6 * 0.5 / math.sqrt(16 * 64)


def test_sites_of_an_encoder():
    config = BertModelConfig(
        hidden_size=24,
        num_attention_heads=3,
        num_hidden_layers=2,
        hidden_dropout_prob=0.2,
        attention_probs_dropout_prob=0.3,
    )
    sites = dropout_sites(config, 10)
    assert len({(site.layer, site.name) for site in sites}) == len(sites) == 7
    assert [site.shape for site in sites] == [(10, 24), *[(3, 10, 10), (10, 24), (10, 24)] * 2]
    assert [site.probability for site in sites] == [0.2, *[0.3, 0.2, 0.2] * 2]
    silent = config.model_copy(
        update={"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    )
    assert {site.shape for site in dropout_sites(silent, 10)} == {(0,)}
