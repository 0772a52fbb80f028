"""What takes the place of chosen tokens: BERT's 80 / 10 / 10, and MacBERT's similar words."""

from dataclasses import dataclass

import numpy as np

from mindmlm.data.hashing import random_bits, to_range, to_unit_interval
from mindmlm.data.masking.base import (
    ACTION_STREAM,
    REPLACEMENT_STREAM,
    MaskingSettings,
    VocabularyInfo,
)

KEPT, MASKED, RANDOM, SIMILAR = range(4)


@dataclass(frozen=True)
class Chosen:
    """The n chosen tokens of a batch, row by row, columns ascending.

    Attributes:
        place: int64 [n], row * L + column.
        row, column: int64 [n].
        unit: int64 [n], a column that is the same for tokens that share one draw.
        keys: uint64 [B], of the rows.
    """

    place: np.ndarray
    row: np.ndarray
    column: np.ndarray
    unit: np.ndarray
    keys: np.ndarray

    def key(self) -> np.ndarray:
        """Return uint64 [n], the key of each token's row."""
        return self.keys.take(self.row)


def units(kind: str, place: np.ndarray, columns: int, word_starts: np.ndarray) -> np.ndarray:
    """Return the `Chosen.unit` of tokens.

    Args:
        kind: "piece": each token by itself; "word": the tokens of a word; "span": tokens that
            stand side by side (SpanBERT merges spans that touch).
        place: int64 [n], ascending. A row begins and ends with a special token, so tokens of two
            rows never stand side by side.
        columns: L.
        word_starts: bool [B, L].
    """
    if kind != "piece":
        begins = np.ones(len(place), np.bool_)
        begins[1:] = place[1:] != place[:-1] + 1
        if kind == "word":
            begins |= word_starts.ravel()[place]
        place = place[np.maximum.accumulate(np.where(begins, np.arange(len(place)), 0))]
    return place % columns


def draw_actions(keys: np.ndarray, unit: np.ndarray, settings: MaskingSettings) -> np.ndarray:
    """Return int64 [n]: `MASKED`, `RANDOM` or `KEPT`, one draw for every key and unit."""
    draw = to_unit_interval(random_bits(keys, ACTION_STREAM, unit))
    changed = np.where(draw < settings.mask_prob + settings.random_prob, RANDOM, KEPT)
    return np.where(draw < settings.mask_prob, MASKED, changed)


def replace_tokens(
    input_ids: np.ndarray, chosen: Chosen, settings: MaskingSettings, vocabulary: VocabularyInfo
) -> np.ndarray:
    """Return a copy of ``input_ids`` [B, L] in which chosen tokens are [MASK], random or kept."""
    actions = draw_actions(chosen.key(), chosen.unit, settings)
    masked = input_ids.copy()
    hidden = actions == MASKED
    masked.ravel()[chosen.place[hidden]] = vocabulary.mask_id
    changed = np.flatnonzero(actions == RANDOM)
    tokens = vocabulary.ordinary_ids
    if settings.strategy == "span" and settings.corpus_tokens is not None:
        tokens = settings.corpus_tokens
    masked.ravel()[chosen.place[changed]] = _draw(chosen, changed, tokens)
    return masked


def replace_words(
    input_ids: np.ndarray, chosen: Chosen, settings: MaskingSettings, vocabulary: VocabularyInfo
) -> np.ndarray:
    """Return a copy of ``input_ids`` [B, L] in which chosen words are similar, random or kept.

    With `mask_prob` a word becomes a similar one; where the table knows none, a random one; with
    `random_prob` a random one: any word of the table with as many pieces, or random tokens when
    there is none.
    """
    table = settings.similar_words
    assert table is not None
    masked = input_ids.copy()
    if not len(chosen.row):
        return masked
    begins = np.flatnonzero(
        np.append(True, (chosen.row[1:] != chosen.row[:-1]) | (np.diff(chosen.unit) != 0))
    )
    ends = np.append(begins[1:], len(chosen.row))
    sizes = ends - begins
    keys, unit = chosen.keys.take(chosen.row.take(begins)), chosen.unit.take(begins)
    actions = draw_actions(keys, unit, settings)
    ids = input_ids.ravel()[chosen.place]
    # Words are drawn at columns beyond the row's, so that they share no bits with random tokens.
    bits = random_bits(keys, REPLACEMENT_STREAM, unit + input_ids.shape[1])
    substitute = table.draw_similar(table.look_up(ids, begins, ends), bits)
    substitute[actions != MASKED] = -1
    wants_any = (actions != KEPT) & (substitute < 0)
    any_word = np.flatnonzero(wants_any)
    substitute[any_word] = table.draw_any(sizes[any_word], bits[any_word])
    of_token = np.repeat(substitute, sizes)
    offset = np.arange(len(chosen.row)) - np.repeat(begins, sizes)
    known = np.flatnonzero(of_token >= 0)
    ids[known] = table.pieces(of_token[known], offset[known])
    unknown = np.flatnonzero((of_token < 0) & np.repeat(wants_any, sizes))
    ids[unknown] = _draw(chosen, unknown, vocabulary.ordinary_ids)
    masked.ravel()[chosen.place] = ids
    return masked


def _draw(chosen: Chosen, which: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """Return random tokens for the chosen tokens number ``which``."""
    keys = chosen.keys[chosen.row[which]]
    bits = random_bits(keys, REPLACEMENT_STREAM, chosen.column[which])
    return tokens[to_range(bits, len(tokens))]
