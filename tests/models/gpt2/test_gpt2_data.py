"""What is known of GPT-2 without building it: sizes, spread of first values, dropout sites."""

import math

import numpy as np
import pytest

from mindmlm.config.schema.gpt2 import GPT2ModelConfig
from mindmlm.conversion.architectures import GPT2
from mindmlm.models.gpt2.dropout_sites import dropout_sites
from mindmlm.models.gpt2.initialization import initial_deviation
from mindmlm.models.initialization import initial_value
from mindmlm.models.spans import Span

VOCAB = 50257
# Layers, width, heads -> millions of parameters. The first four as transformers counts OpenAI's.
SIZES = {
    "gpt2": (12, 768, 12, 124.439808),
    "gpt2_medium": (24, 1024, 16, 354.823168),
    "gpt2_large": (36, 1280, 20, 774.030080),
    "gpt2_xl": (48, 1600, 25, 1557.611200),
    "gpt2_13b": (40, 5120, 40, None),
    "gpt2_52b": (64, 8192, 32, None),
}
BILLIONS = {"gpt2_13b": "12.85", "gpt2_52b": "51.97"}


@pytest.mark.parametrize("name", SIZES)
def test_numbers_of_parameters(name) -> None:
    layers, width, heads, millions = SIZES[name]
    settings = GPT2ModelConfig(
        num_hidden_layers=layers, hidden_size=width, num_attention_heads=heads
    )
    count = sum(math.prod(shape) for shape in GPT2.parameters(settings, VOCAB).values())
    if millions is None:
        assert f"{count / 1e9:.2f}" == BILLIONS[name]
    else:
        assert count == round(millions * 1e6)


def test_what_is_added_to_the_residual_starts_smaller() -> None:
    settings = GPT2ModelConfig(num_hidden_layers=8, initializer_range=0.04)
    usual, small = 0.04, 0.04 / 4
    expected = {
        "gpt2.embeddings.word": usual,
        "gpt2.embeddings.position": usual,
        "gpt2.layers.7.attention.query.weight": usual,
        "gpt2.layers.7.attention.output.weight": small,
        "gpt2.layers.7.intermediate.weight": usual,
        "gpt2.layers.0.output.weight": small,
    }
    for name, deviation in expected.items():
        assert initial_deviation(settings, name) == pytest.approx(deviation)
        values = initial_value(name, (200, 100), 3, initial_deviation(settings, name))
        assert values.std() == pytest.approx(deviation, rel=0.03)


def test_first_values_are_spread_as_those_of_transformers() -> None:
    transformers = pytest.importorskip("transformers")
    from mindmlm.testing.tiny_gpt2 import our_values

    config = transformers.GPT2Config(
        vocab_size=300, n_embd=96, n_layer=3, n_head=4, n_positions=200, initializer_range=0.03
    )
    settings = GPT2ModelConfig(
        hidden_size=96,
        num_hidden_layers=3,
        num_attention_heads=4,
        max_position_embeddings=200,
        initializer_range=0.03,
    )
    shapes = GPT2.parameters(settings, 300)
    theirs = our_values(transformers.GPT2LMHeadModel(config).state_dict(), shapes)
    for name, shape in shapes.items():
        ours = initial_value(name, shape, 11, initial_deviation(settings, name))
        assert ours.mean() == pytest.approx(theirs[name].mean(), abs=2e-3), name
        assert ours.std() == pytest.approx(theirs[name].std(), rel=0.06), name


def test_dropout_sites_of_spans_are_those_of_the_whole() -> None:
    settings = GPT2ModelConfig(
        hidden_size=24,
        num_attention_heads=6,
        num_hidden_layers=5,
        embedding_dropout_prob=0.3,
        hidden_dropout_prob=0.1,
        attention_probs_dropout_prob=0.2,
    )
    whole = dropout_sites(settings, 7)
    assert len(whole) == 1 + 3 * 5
    assert [site.probability for site in whole[:4]] == [0.3, 0.2, 0.1, 0.1]
    assert [site.shape for site in whole[:4]] == [(7, 24), (6, 7, 7), (7, 24), (7, 24)]
    assert len({(site.layer, site.name) for site in whole}) == len(whole)
    cuts = [Span(0, 2, 5), Span(2, 3, 5), Span(3, 5, 5)]
    assert [site for span in cuts for site in dropout_sites(settings, 7, span)] == whole
    half = dropout_sites(settings, 7, heads=range(3, 6))
    assert [site.local_shape for site in half[:3]] == [(7, 24), (3, 7, 7), (7, 24)]


def test_a_site_without_dropout_has_no_mask() -> None:
    settings = GPT2ModelConfig(embedding_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    sizes = [np.prod(site.local_shape) for site in dropout_sites(settings, 4, heads=range(3))]
    assert sizes[:4] == [0, 0, 4 * 768, 4 * 768]
