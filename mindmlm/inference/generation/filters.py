"""From logits to the distribution that a token is drawn from.

Order and meaning are those of Hugging Face's `LogitsProcessorList`: repetition penalty,
temperature, top-k, top-p.
"""

from collections.abc import Sequence

import numpy as np

from mindmlm.config.schema.generation import GenerationConfig

# The fewest tokens that hold `top_p` of the probability are nearly always among this many.
_LIKELIEST = 2048


def penalise_repetition(
    logits: np.ndarray, seen: Sequence[np.ndarray], penalty: float
) -> np.ndarray:
    """Make tokens of the text so far less likely (Keskar et al. 2019, section 4.1).

    Unlike in Hugging Face's, padding is not a token of the text, so that a batch changes nothing.

    Args:
        logits: float32 [rows, vocab].
        seen: ids of each row's text, prompt included.
        penalty: see `GenerationConfig.repetition_penalty`.
    """
    if penalty == 1.0:
        return logits
    logits = logits.copy()
    for row, ids in zip(logits, seen, strict=True):
        # Ids that are there twice are penalised once: all of them get the same value.
        values = row[ids]
        factor = np.float32(penalty)
        row[ids] = np.where(values < 0, values * factor, values / factor)
    return logits


def for_sampling(logits: np.ndarray, settings: GenerationConfig) -> np.ndarray:
    """Apply temperature, top-k and top-p: logits [rows, vocab], -inf where nothing is drawn."""
    if settings.temperature != 1.0:
        logits = logits / np.float32(settings.temperature)
    logits = keep_top_k(logits, settings.top_k)
    return keep_top_p(logits, settings.top_p)


def keep_top_k(logits: np.ndarray, top_k: int) -> np.ndarray:
    """Set all but the `top_k` largest of each row to -inf; those equal to the last one stay."""
    columns = logits.shape[1]
    if not 0 < top_k < columns:
        return logits
    least = np.partition(logits, columns - top_k, axis=1)[:, columns - top_k, None]
    return np.where(logits < least, np.float32(-np.inf), logits)


def keep_top_p(logits: np.ndarray, top_p: float) -> np.ndarray:
    """Keep the fewest likeliest tokens of each row whose probabilities add up to `top_p`.

    Holtzman et al. 2020, section 3.1. A token stays when those likelier than it have less than
    `top_p` together.
    """
    if top_p >= 1.0:
        return logits
    kept = np.full_like(logits, -np.inf)
    for row, old in zip(kept, logits, strict=True):
        ids = _nucleus(old, top_p)
        row[ids] = old[ids]
    return kept


def _nucleus(logits: np.ndarray, top_p: float) -> np.ndarray:
    """Ids of the tokens that `keep_top_p` keeps of one row."""
    weights = probabilities(logits)
    count = min(_LIKELIEST, len(logits))
    while True:
        ids = np.argpartition(logits, len(logits) - count)[len(logits) - count :]
        ids = ids[np.argsort(-logits[ids], kind="stable")]
        likelier = np.cumsum(weights[ids]) - weights[ids]
        if likelier[-1] >= top_p or count == len(logits):
            return ids[(likelier < top_p) & np.isfinite(logits[ids])]
        count = len(logits)


def probabilities(logits: np.ndarray) -> np.ndarray:
    """Softmax over the last axis, float64; -inf becomes 0."""
    shifted = np.exp(logits.astype(np.float64) - logits.max(-1, keepdims=True))
    return shifted / shifted.sum(-1, keepdims=True)


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Logarithms of the softmax over the last axis, float32."""
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
