"""Greedy and beam search give the tokens of transformers with the same weights."""

import numpy as np
import pytest
import torch

from mindmlm.inference import cached_stage, generate
from mindmlm.testing.tiny_gpt2 import VOCAB

PROMPTS = ["the cat and", "x", "on the man in an other than there", "今天"]
LONG = 20
BEAMS = [
    {"num_beams": 3},
    {"num_beams": 4, "num_return_sequences": 3, "length_penalty": 0.2},
    {"num_beams": 2, "early_stopping": True, "length_penalty": 2.0, "repetition_penalty": 1.2},
    {"num_beams": 3, "early_stopping": "never", "num_return_sequences": 2},
    {"num_beams": 3, "length_penalty": -1.0},
]
SEARCHES = [
    pytest.param({}, id="greedy"),
    pytest.param({"repetition_penalty": 1.4}, id="penalty"),
    pytest.param(BEAMS[0], id=str(BEAMS[0])),
    *(pytest.param(options, id=str(options), marks=pytest.mark.slow) for options in BEAMS[1:]),
]


def of_transformers(model, tokenizer, ends, new_tokens=LONG, **options):
    """New tokens of each result, prompt by prompt: no padding is involved."""
    results = []
    for prompt in PROMPTS:
        ids = torch.from_numpy(tokenizer.encode_prompt(prompt)[None].astype(np.int64))
        rows = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            max_new_tokens=new_tokens,
            eos_token_id=ends or None,
            pad_token_id=VOCAB - 1,
            **options,
        )
        results += [up_to_end(row, ends) for row in rows[:, ids.shape[1] :].tolist()]
    return results


def up_to_end(tokens, ends):
    for place, token in enumerate(tokens):
        if token in ends:
            return tokens[: place + 1]
    return tokens


def of_ours(model, tokenizer, ends, new_tokens=LONG, **options):
    results = generate(
        model, tokenizer, PROMPTS, max_new_tokens=new_tokens, eos_token_id=ends, **options
    )
    return [result["token_ids"] for result in results]


@pytest.fixture(scope="module")
def ends(theirs, tokenizer):
    """Tokens that come up early in some texts, late in others and not at all in the rest."""
    texts = of_transformers(theirs, tokenizer, [])
    assert len({tuple(text) for text in texts}) == len(PROMPTS)
    assert min(len(set(text)) for text in texts) > 3
    return [texts[0][2], texts[1][7]]


@pytest.mark.parametrize("options", SEARCHES)
@pytest.mark.parametrize("ended", [False, True], ids=["to the limit", "with end tokens"])
def test_tokens_are_those_of_transformers(ours, theirs, tokenizer, ends, options, ended):
    chosen = ends if ended else []
    expected = of_transformers(theirs, tokenizer, chosen, **options)
    assert of_ours(ours, tokenizer, chosen, **options) == expected
    if ended:
        assert min(len(text) for text in expected) < LONG


@pytest.mark.parametrize("beams", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_cache_that_grows_several_times(ours, theirs, tokenizer, monkeypatch, beams):
    monkeypatch.setattr(cached_stage, "_CAPACITY_STEP", 8)
    monkeypatch.setattr(cached_stage, "_FIRST_TOKENS", 4)
    expected = of_transformers(theirs, tokenizer, [], 80, num_beams=beams)
    assert of_ours(ours, tokenizer, [], 80, num_beams=beams) == expected
