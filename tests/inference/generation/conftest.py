"""A small GPT-2 of transformers with random weights, and ours with the same."""

import pytest
import torch

from mindmlm.testing.tiny_gpt2 import MERGES, TOKENS, huggingface_gpt2, ours_like
from mindmlm.tokenizers.gpt2 import GPT2Tokenizer

POSITIONS = 120


@pytest.fixture(scope="session")
def tokenizer():
    return GPT2Tokenizer(TOKENS, [tuple(merge.split(" ")) for merge in MERGES])


@pytest.fixture(scope="session")
def theirs():
    model = huggingface_gpt2(n_positions=POSITIONS, deviation=0.35)
    # Norms of random scales make every text the same token over and over.
    for name, value in model.named_parameters():
        if "ln_" in name and name.endswith("weight"):
            torch.nn.init.ones_(value)
    # Each test says what ends a text.
    model.generation_config.eos_token_id = None
    return model


@pytest.fixture(scope="session")
def ours(theirs, graph_mode):
    return ours_like(theirs, max_position_embeddings=POSITIONS)
