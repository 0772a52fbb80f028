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
from mindmlm.data.masking.rare_token import select_rare_tokens
from mindmlm.data.masking.replacement import Chosen, replace_tokens, replace_words, unit_begins
from mindmlm.data.masking.span import select_spans, select_token_spans
from mindmlm.data.masking.token import select_tokens
from mindmlm.data.masking.whole_word import select_whole_words
from mindmlm.data.masking.words import ALL_ROWS, Which

# Rows of so many tokens together stay in a core's cache.
_PORTION_TOKENS = 1 << 17


@dataclass(frozen=True)
class _Replacement:
    """What one draw of 80 / 10 / 10 is made for, what replaces, and with which random tokens."""

    unit: str
    replace: Callable[[np.ndarray, Chosen, MaskingSettings, int], None] = replace_tokens
    of_corpus: bool = False


_PIECES = _Replacement("piece")

# How each strategy chooses, and what becomes of the tokens that it chose.
STRATEGIES: dict[str, tuple[Strategy, _Replacement]] = {
    "token": (select_tokens, _PIECES),
    "rare_token": (select_rare_tokens, _PIECES),
    "whole_word": (select_whole_words, _PIECES),
    "span": (select_spans, _Replacement("span", of_corpus=True)),
    "token_span": (select_token_spans, _PIECES),
    "ngram": (select_ngrams, _PIECES),
    "macbert": (select_ngrams, _Replacement("word", replace_words)),
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
    settings = replace(settings, max_predictions_per_seq=predictions)
    portion = max(1, _PORTION_TOKENS // columns)
    places = [np.zeros(0, np.int64)]
    for begin in range(0, rows, portion):
        part = slice(begin, begin + portion)
        some = TokenBatch(tokens.input_ids[part], tokens.word_starts[part], tokens.lengths[part])
        ordinary = vocabulary.ordinary(some.input_ids, inside[part])
        place = _mask_rows(some, ordinary, settings, vocabulary, keys[part], masked[part])
        places.append(place + begin * columns)
    place = np.concatenate(places)
    return _assembled(tokens.input_ids, masked, inside, place, predictions, sample_ids)


def _assembled(
    original: np.ndarray,
    masked: np.ndarray,
    inside: np.ndarray,
    place: np.ndarray,
    predictions: int,
    sample_ids: np.ndarray,
) -> MaskedBatch:
    """Return the batch; the chosen tokens of a row stand at its front.

    Args:
        place: int64 [n], the chosen tokens (row * L + column), ascending.
    """
    rows, columns = original.shape
    row = place // columns
    counts = np.bincount(row, minlength=rows)
    slot = (np.arange(rows) * predictions - np.cumsum(counts) + counts).take(row)
    slot += np.arange(len(place))
    positions = np.zeros((rows, predictions), np.int32)
    labels = np.zeros((rows, predictions), np.int32)
    weights = np.zeros((rows, predictions), np.float32)
    positions.ravel()[slot] = place - row * columns
    labels.ravel()[slot] = original.ravel().take(place)
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


def _strategies_of_rows(settings: MaskingSettings, keys: np.ndarray) -> list[tuple[str, Which]]:
    """Return strategies and their rows: in a mixture each row draws one by the weights."""
    if settings.strategy != MIXTURE:
        return [(settings.strategy, ALL_ROWS)]
    weights = np.array([weight for _, weight in settings.mixture])
    borders = np.cumsum(weights / weights.sum())[:-1]
    draw = to_unit_interval(random_bits(keys, MIXTURE_STREAM, np.zeros(1)))
    number = np.searchsorted(borders, draw, side="right")
    parts = [(name, np.flatnonzero(number == n)) for n, (name, _) in enumerate(settings.mixture)]
    return [(name, which) for name, which in parts if len(which)]


def _mask_rows(
    tokens: TokenBatch,
    ordinary: np.ndarray,
    settings: MaskingSettings,
    vocabulary: VocabularyInfo,
    keys: np.ndarray,
    masked: np.ndarray,
) -> np.ndarray:
    """Mask ``masked``, a copy of the input; return the places of the chosen tokens, int64 [n]."""
    word_starts, terms, weight = tokens.word_starts, None, 1.0
    if settings.terms is not None:
        terms, word_starts = settings.terms.find(tokens.input_ids, word_starts)
        weight = settings.terms.weight
    rare = settings.token_weights
    of_tokens = None if rare is None else rare.take(tokens.input_ids)
    rows = Rows(word_starts, ordinary, tokens.lengths, keys, terms, weight, of_tokens)
    parts = _strategies_of_rows(settings, keys)
    chosen = np.zeros(ordinary.shape, np.bool_)
    columns = ordinary.shape[1]
    together: dict[_Replacement, list[Which]] = {}
    predictions = settings.predictions(columns)
    for name, which in parts:
        select, replacement = STRATEGIES[name]
        chosen[which] = select(rows, which, settings.masked_lm_prob, predictions)
        together.setdefault(replacement, []).append(which)
    place = np.flatnonzero(chosen)
    row = place // columns
    for replacement, parts_of_it in together.items():
        mine = _tokens_in(row, parts_of_it, len(keys)) if len(together) > 1 else ALL_ROWS
        unit = replacement.unit if settings.unit == "published" else settings.unit
        corpus = settings.corpus_tokens if replacement.of_corpus else None
        some = Chosen(
            place[mine],
            row[mine],
            unit_begins(unit, place[mine], word_starts),
            columns,
            keys,
            vocabulary.ordinary_ids if corpus is None else corpus,
        )
        replacement.replace(masked.reshape(-1), some, settings, vocabulary.mask_id)
    return place


def _tokens_in(row: np.ndarray, parts: list[Which], rows: int) -> np.ndarray:
    """Return the numbers of the chosen tokens, ``row`` [n], that are in parts of the ``rows``."""
    inside = np.zeros(rows, np.bool_)
    for which in parts:
        inside[which] = True
    return np.flatnonzero(inside.take(row))
