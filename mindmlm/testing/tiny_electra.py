"""A small ELECTRA of transformers, two models with one set of embeddings, and plain statements."""

from typing import Any, NamedTuple

import numpy as np

from mindmlm.config.schema.electra import ElectraModelConfig

VOCAB = 613  # more than two blocks of the sampling, the last one not full
SHAPE = {
    "embedding_size": 20,
    "hidden_size": 36,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 40,
    "max_position_embeddings": 24,
    "generator_hidden_size": 1 / 3,
    "generator_layers": 0.5,
}
SETTINGS = ElectraModelConfig.model_validate(
    {**SHAPE, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
)


class Pair(NamedTuple):
    """Models of transformers."""

    generator: Any
    discriminator: Any


def huggingface_electra(seed: int = 0, vocab: int = VOCAB, deviation: float = 0.2) -> Pair:
    """Return `ElectraForMaskedLM` and `ElectraForPreTraining` on shared random embeddings."""
    import torch
    import transformers

    torch.manual_seed(seed)
    names = ("embedding_size", "max_position_embeddings")
    common = {name: SHAPE[name] for name in names}
    networks = []
    for ours, kind in (
        (SETTINGS.generator(), transformers.ElectraForMaskedLM),
        (SETTINGS.discriminator(), transformers.ElectraForPreTraining),
    ):
        config = transformers.ElectraConfig(
            vocab_size=vocab,
            hidden_size=ours.hidden_size,
            num_hidden_layers=ours.num_hidden_layers,
            num_attention_heads=ours.num_attention_heads,
            intermediate_size=ours.intermediate_size,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            **common,
        )
        model = kind(config).eval()
        for value in model.parameters():
            torch.nn.init.normal_(value, std=deviation)
        networks.append(model)
    generator, discriminator = networks
    discriminator.electra.embeddings = generator.electra.embeddings
    return Pair(generator, discriminator)


def named_parameters(pair: Pair) -> dict[str, Any]:
    """Return the parameters of both models by our names."""
    from mindmlm.conversion.architectures import electra_parameters
    from mindmlm.conversion.tables.electra import GENERATOR_PREFIX, TOGETHER

    found = dict(pair.discriminator.named_parameters())
    found |= {GENERATOR_PREFIX + name: value for name, value in pair.generator.named_parameters()}
    vocab = pair.generator.config.vocab_size
    recipes = TOGETHER.recipes(electra_parameters(SETTINGS, vocab))
    return {ours: found[recipe.theirs] for ours, recipe in recipes.items()}


def random_batch(seed: int = 0, batch: int = 3, sequence: int = 14, predictions: int = 4) -> dict:
    """Return the inputs of `ReplacedTokenLoss` in its order, by name; rows have padding."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(predictions + 2, sequence + 1, batch)
    mask = (np.arange(sequence) < lengths[:, None]).astype(np.int32)
    originals = rng.integers(5, VOCAB, (batch, sequence)).astype(np.int32) * mask
    weights = (rng.random((batch, predictions)) < 0.7).astype(np.float32)
    weights[:, 0] = 1.0
    weights = -np.sort(-weights, axis=1)  # padding stands at the end
    positions = np.stack(
        [np.sort(rng.choice(np.arange(1, n), predictions, replace=False)) for n in lengths]
    ).astype(np.int32) * (weights > 0)
    labels = np.take_along_axis(originals, positions, 1) * (weights > 0)
    ids = originals.copy()
    hidden = (rng.random(labels.shape) < 0.85) & (weights > 0)
    rows = np.arange(batch)[:, None].repeat(predictions, 1)
    ids[rows[hidden], positions[hidden]] = 4
    draws = rng.integers(0, 2**23, (batch, predictions, 2)).astype(np.float32) * np.float32(2**-23)
    return {
        "input_ids": ids,
        "draws": draws,
        "input_mask": mask,
        "segment_ids": ((np.arange(sequence) >= lengths[:, None] // 2) * mask).astype(np.int32),
        "positions": positions.astype(np.int32),
        "labels": labels.astype(np.int32),
        "weights": weights,
    }


def sampled_by_inversion(logits: np.ndarray, draws: np.ndarray, block: int = 256) -> np.ndarray:
    """Return the tokens that two uniform numbers choose: a block of the vocabulary, then of it one.

    In float64. logits [rows, vocab], draws [rows, 2] -> int [rows].
    """
    chosen = []
    for row, (first, second) in zip(logits.astype(np.float64), draws.astype(float), strict=True):
        probabilities = np.exp(row - row.max())
        begins = np.arange(0, len(row), block)
        sums = np.cumsum([probabilities[begin : begin + block].sum() for begin in begins])
        begin = begins[np.searchsorted(sums, first * sums[-1], side="right")]
        inner = np.cumsum(probabilities[begin : begin + block])
        chosen.append(begin + np.searchsorted(inner, second * inner[-1], side="right"))
    return np.array(chosen)


def fake_data(batch: dict, sampled: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return ids with the sampled tokens, and where they are not the original ones, both [B, L]."""
    ids, replaced = batch["input_ids"].copy(), np.zeros(batch["input_ids"].shape, np.int64)
    for row, column in np.ndindex(*batch["positions"].shape):
        if batch["weights"][row, column] > 0:
            place, token = batch["positions"][row, column], sampled[row, column]
            ids[row, place] = token
            replaced[row, place] = token != batch["labels"][row, column]
    return ids, replaced


def plain_losses(
    logits: np.ndarray, scores: np.ndarray, replaced: np.ndarray, batch: dict
) -> tuple:
    """Return the two mean losses from what the networks say, in float64.

    logits [B, P, vocab] of the generator, scores [B, L] of the discriminator, replaced [B, L].
    """
    logits, scores = logits.astype(np.float64), scores.astype(np.float64)
    shifted = logits - logits.max(-1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    picked = np.take_along_axis(logs, batch["labels"][..., None].astype(int), -1)[..., 0]
    generator = -(picked * batch["weights"]).sum() / batch["weights"].sum()
    right = np.where(replaced > 0, 1 / (1 + np.exp(-scores)), 1 / (1 + np.exp(scores)))
    discriminator = -(np.log(right) * batch["input_mask"]).sum() / batch["input_mask"].sum()
    return generator, discriminator
