"""Small GPT-2s of transformers with random weights, and the same weights in ours."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mindmlm.config.schema.gpt2 import GPT2ModelConfig
from mindmlm.conversion.architectures import GPT2
from mindmlm.conversion.matching import Allowances, match
from mindmlm.testing.memory_source import MemorySource
from mindmlm.tokenizers.byte_level_bpe import END_OF_TEXT
from mindmlm.tokenizers.byte_symbols import BYTE_SYMBOLS

MERGES = ("t h", "th e", "Ġ the", "i n", "e r", "Ġ a", "o n", "a n", "an d", "Ġ and")
TOKENS = [*BYTE_SYMBOLS.values(), *(merge.replace(" ", "") for merge in MERGES), END_OF_TEXT]
VOCAB = len(TOKENS)
SHAPE = {
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "max_position_embeddings": 20,
}
NO_DROPOUT = {
    "embedding_dropout_prob": 0.0,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
}


def huggingface_gpt2(seed: int = 0, deviation: float = 0.2, **settings: Any) -> Any:
    """Return a `GPT2LMHeadModel` of transformers whose every weight is random.

    Args:
        seed: of the weights.
        deviation: of the weights.
        settings: keys of transformers' `GPT2Config`, in place of those of `SHAPE`.
    """
    import torch
    import transformers

    torch.manual_seed(seed)
    shape = {
        "vocab_size": VOCAB,
        "n_embd": SHAPE["hidden_size"],
        "n_layer": SHAPE["num_hidden_layers"],
        "n_head": SHAPE["num_attention_heads"],
        "n_positions": SHAPE["max_position_embeddings"],
        "bos_token_id": VOCAB - 1,
        "eos_token_id": VOCAB - 1,
    }
    model = transformers.GPT2LMHeadModel(transformers.GPT2Config(**{**shape, **settings})).eval()
    for value in model.parameters():
        torch.nn.init.normal_(value, std=deviation)
    return model


def save_huggingface(model: Any, folder: Path, **options: Any) -> Path:
    """Save a model with a tokenizer as OpenAI's folders have it; returns the folder."""
    model.save_pretrained(folder, **options)
    ids = {token: place for place, token in enumerate(TOKENS)}
    (folder / "vocab.json").write_text(json.dumps(ids))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{m}\n" for m in MERGES))
    return folder


def random_ids(seed: int = 0, rows: int = 3, length: int = 13) -> np.ndarray:
    """Return int32 ids [rows, length]."""
    return np.random.default_rng(seed).integers(0, VOCAB, (rows, length)).astype(np.int32)


def our_values(state: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    """Return tensors of transformers' names (weights or gradients) as arrays under our names."""
    arrays = {name: value.detach().numpy() for name, value in state.items()}
    found = match(MemorySource(arrays), GPT2.tables, shapes, Allowances())
    return {name: np.ascontiguousarray(found.read(name)) for name in shapes}


def fill(cell: Any, values: Mapping[str, np.ndarray]) -> Any:
    """Give a model of ours these weights; returns it."""
    import mindspore as ms

    for value in cell.get_parameters():
        value.set_data(ms.Tensor(values[value.name]))
    return cell


def ours_like(model: Any, **settings: Any) -> Any:
    """Return our model with the weights of one of transformers that has the shape of `SHAPE`."""
    from mindmlm.models.gpt2.heads import GPT2LMHeadModel

    config = GPT2ModelConfig(**{**SHAPE, **NO_DROPOUT, **settings})
    rows = model.config.vocab_size
    values = our_values(model.state_dict(), GPT2.parameters(config, rows))
    return fill(GPT2LMHeadModel(config, rows), values)


def huggingface_logits(model: Any, ids: np.ndarray) -> np.ndarray:
    """Return the logits [rows, length, vocabulary] of a model of transformers."""
    import torch

    with torch.no_grad():
        return model(input_ids=torch.from_numpy(ids.astype(np.int64))).logits.numpy()


def our_logits(model: Any, ids: np.ndarray) -> np.ndarray:
    """Return the logits [rows, length, vocabulary] of our model."""
    import mindspore as ms

    model.set_train(False)
    return model(ms.Tensor(ids), ()).asnumpy().reshape(*ids.shape, -1)
