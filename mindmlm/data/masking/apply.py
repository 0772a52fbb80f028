"""Mask a batch: choose columns by the strategy, then replace 80 / 10 / 10."""

import numpy as np

from mindmlm.data.hashing import derive_keys, random_bits, to_range, to_unit_interval
from mindmlm.data.masking.base import (
    ACTION_STREAM,
    REPLACEMENT_STREAM,
    MaskedBatch,
    MaskingSettings,
    Strategy,
    TokenBatch,
    VocabularyInfo,
    row_budget,
)
from mindmlm.data.masking.token import select_tokens
from mindmlm.data.masking.whole_word import select_whole_words

STRATEGIES: dict[str, Strategy] = {"token": select_tokens, "whole_word": select_whole_words}


def mask_batch(
    tokens: TokenBatch,
    settings: MaskingSettings,
    vocabulary: VocabularyInfo,
    seed: int,
    epochs: np.ndarray,
    sample_ids: np.ndarray,
) -> MaskedBatch:
    """Mask rows; the mask of a row is a function of (seed, epoch, sample id) and nothing else.

    Which tokens are chosen: see the strategy. Each chosen token by itself becomes [MASK] with
    `mask_prob`, a random ordinary token with `random_prob`, or stays. Special tokens ([UNK]
    included) are never chosen and never drawn.

    Args:
        tokens: the rows.
        settings: see `MaskingSettings`.
        vocabulary: see `VocabularyInfo`.
        seed: any integer.
        epochs, sample_ids: int64 [B].

    Raises:
        KeyError: no strategy of that name.
    """
    rows, columns = tokens.input_ids.shape
    predictions = settings.predictions(columns)
    keys = derive_keys(seed, epochs, sample_ids)
    inside = np.arange(columns) < tokens.lengths[:, None]
    chosen = STRATEGIES[settings.strategy](
        tokens.word_starts,
        inside & ~vocabulary.is_special[tokens.input_ids],
        row_budget(tokens.lengths, settings.masked_lm_prob, predictions),
        keys,
        predictions,
    )
    positions = np.zeros((rows, predictions), np.int64)
    weights = np.zeros((rows, predictions), np.bool_)
    width = chosen.shape[1]
    weights[:, :width] = chosen < columns
    positions[:, :width] = np.where(weights[:, :width], chosen, 0)
    labels = np.where(weights, np.take_along_axis(tokens.input_ids, positions, axis=1), 0)
    return MaskedBatch(
        input_ids=_replace(tokens.input_ids, positions, weights, settings, vocabulary, keys),
        input_mask=inside.astype(np.int32),
        segment_ids=np.zeros((rows, columns), np.int32),
        masked_lm_positions=positions.astype(np.int32),
        masked_lm_ids=labels.astype(np.int32),
        masked_lm_weights=weights.astype(np.float32),
        sample_ids=np.asarray(sample_ids, np.int64),
    )


def _replace(
    input_ids: np.ndarray,
    positions: np.ndarray,
    weights: np.ndarray,
    settings: MaskingSettings,
    vocabulary: VocabularyInfo,
    keys: np.ndarray,
) -> np.ndarray:
    """Return a copy of ``input_ids`` with the chosen columns replaced, kept or randomised."""
    row, slot = np.nonzero(weights)
    column = positions[row, slot]
    action = to_unit_interval(random_bits(keys[row], ACTION_STREAM, column))
    drawn = vocabulary.ordinary_ids[
        to_range(random_bits(keys[row], REPLACEMENT_STREAM, column), len(vocabulary.ordinary_ids))
    ]
    masked = input_ids.copy()
    kept = masked[row, column]
    changed = np.where(action < settings.mask_prob + settings.random_prob, drawn, kept)
    masked[row, column] = np.where(action < settings.mask_prob, vocabulary.mask_id, changed)
    return masked
