"""Mask a batch: choose columns by the strategy, then replace 80 / 10 / 10."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from mindmlm.data.hashing import derive_keys, random_bits, to_unit_interval
from mindmlm.data.masking.base import (
    MIXTURE_STREAM,
    MaskedBatch,
    MaskingSettings,
    Rows,
    Strategy,
    TokenBatch,
    VocabularyInfo,
)
from mindmlm.data.masking.ngram import select_ngrams
from mindmlm.data.masking.replacement import Chosen, replace_tokens, replace_words, units
from mindmlm.data.masking.span import select_spans, select_token_spans
from mindmlm.data.masking.token import select_tokens
from mindmlm.data.masking.whole_word import select_whole_words

# Rows of so many tokens together stay in a core's cache.
_PORTION_TOKENS = 1 << 17


@dataclass(frozen=True)
class _Kind:
    """How a strategy chooses, what one draw of 80 / 10 / 10 is made for, and what replaces."""

    select: Strategy
    unit: str
    replace: Callable[[np.ndarray, Chosen, MaskingSettings, VocabularyInfo], np.ndarray] = (
        replace_tokens
    )


STRATEGIES: dict[str, _Kind] = {
    "token": _Kind(select_tokens, "piece"),
    "whole_word": _Kind(select_whole_words, "piece"),
    "span": _Kind(select_spans, "span"),
    "token_span": _Kind(select_token_spans, "piece"),
    "ngram": _Kind(select_ngrams, "piece"),
    "macbert": _Kind(select_ngrams, "word", replace_words),
}
MIXTURE = "mixture"


def mask_batch(
    tokens: TokenBatch,
    settings: MaskingSettings,
    vocabulary: VocabularyInfo,
    seed: int,
    epochs: np.ndarray,
    sample_ids: np.ndarray,
) -> MaskedBatch:
    """Mask rows; the mask of a row is a function of (seed, epoch, sample id) and nothing else.

    Which tokens are chosen: see the strategy. Each unit of chosen tokens by itself becomes [MASK]
    with `mask_prob`, random ordinary tokens with `random_prob`, or stays. Special tokens ([UNK]
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
    masked = tokens.input_ids.copy()
    chosen = np.zeros((rows, columns), np.bool_)
    settings = replace(settings, max_predictions_per_seq=predictions)
    portion = max(1, _PORTION_TOKENS // columns)
    for begin in range(0, rows, portion):
        part = slice(begin, begin + portion)
        names = _strategies_of_rows(settings, keys[part])
        for name in dict.fromkeys(names):
            which = np.flatnonzero([other == name for other in names]) + begin
            here = part if len(which) == len(names) else which
            masked[here], chosen[here] = _mask_rows(
                TokenBatch(tokens.input_ids[here], tokens.word_starts[here], tokens.lengths[here]),
                inside[here],
                replace(settings, strategy=name),
                vocabulary,
                keys[here],
            )
    return _assembled(tokens.input_ids, masked, inside, chosen, predictions, sample_ids)


def _assembled(
    original: np.ndarray,
    masked: np.ndarray,
    inside: np.ndarray,
    chosen: np.ndarray,
    predictions: int,
    sample_ids: np.ndarray,
) -> MaskedBatch:
    """Return the batch; the places of a row stand at its front."""
    rows, columns = original.shape
    place = np.flatnonzero(chosen)
    row = place // columns
    counts = np.bincount(row, minlength=rows)
    slot = np.arange(len(place)) + (np.arange(rows) * predictions - np.cumsum(counts) + counts)[row]
    positions = np.zeros((rows, predictions), np.int32)
    labels = np.zeros((rows, predictions), np.int32)
    weights = np.zeros((rows, predictions), np.float32)
    positions.ravel()[slot] = place - row * columns
    labels.ravel()[slot] = original.ravel()[place]
    weights.ravel()[slot] = 1.0
    return MaskedBatch(
        input_ids=masked,
        input_mask=inside.astype(np.int32),
        segment_ids=np.zeros((rows, columns), np.int32),
        masked_lm_positions=positions,
        masked_lm_ids=labels,
        masked_lm_weights=weights,
        sample_ids=np.asarray(sample_ids, np.int64),
    )


def _strategies_of_rows(settings: MaskingSettings, keys: np.ndarray) -> list[str]:
    """Return the strategy of every row: in a mixture each row draws one by the weights."""
    if settings.strategy != MIXTURE:
        return [settings.strategy] * len(keys)
    names = [name for name, _ in settings.mixture]
    weights = np.array([weight for _, weight in settings.mixture])
    borders = np.cumsum(weights / weights.sum())[:-1]
    draw = to_unit_interval(random_bits(keys, MIXTURE_STREAM, np.zeros(1)))
    return [names[place] for place in np.searchsorted(borders, draw, side="right").tolist()]


def _mask_rows(
    tokens: TokenBatch,
    inside: np.ndarray,
    settings: MaskingSettings,
    vocabulary: VocabularyInfo,
    keys: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the masked input and the chosen tokens, both [b, L], of rows of one strategy."""
    kind = STRATEGIES[settings.strategy]
    columns = tokens.input_ids.shape[1]
    word_starts, terms, weight = tokens.word_starts, None, 1.0
    if settings.terms is not None:
        terms, word_starts = settings.terms.find(tokens.input_ids, word_starts)
        weight = settings.terms.weight
    ordinary = vocabulary.ordinary(tokens.input_ids, inside)
    rows = Rows(word_starts, ordinary, tokens.lengths, keys, terms, weight)
    chosen = kind.select(rows, settings.masked_lm_prob, settings.predictions(columns))
    place = np.flatnonzero(chosen)
    row = place // columns
    unit = kind.unit if settings.unit == "published" else settings.unit
    picked = Chosen(
        place, row, place - row * columns, units(unit, place, columns, word_starts), keys
    )
    return kind.replace(tokens.input_ids, picked, settings, vocabulary), chosen
