"""What takes the place of chosen tokens: BERT's 80 / 10 / 10, and MacBERT's similar words."""

from dataclasses import dataclass

import numpy as np

from mindmlm.data.hashing import random_bits, to_range, to_unit_interval
from mindmlm.data.masking.base import (
    ACTION_STREAM,
    REPLACEMENT_STREAM,
    MaskingSettings,
)


@dataclass(frozen=True)
class Chosen:
    """The n chosen tokens of a batch, row by row, columns ascending.

    Attributes:
        place: int64 [n], row * L + column.
        row: int64 [n].
        begins: int64 [u], numbers of the tokens that begin a unit: the tokens up to the next
            beginning share one draw. None = each token is a unit.
        columns: L.
        keys: uint64 [B], of the rows.
        replacements: int32, what random tokens are drawn from.
    """

    place: np.ndarray
    row: np.ndarray
    begins: np.ndarray | None
    columns: int
    keys: np.ndarray
    replacements: np.ndarray

    def coordinates(self, which: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Return the keys (uint64) and columns (int64) of some chosen tokens; None = of all."""
        place = self.place if which is None else self.place.take(which)
        row = self.row if which is None else self.row.take(which)
        return self.keys.take(row), place - row * self.columns


def unit_begins(kind: str, place: np.ndarray, word_starts: np.ndarray) -> np.ndarray | None:
    """Return the `Chosen.begins` of tokens.

    Args:
        kind: "piece": each token by itself; "word": the tokens of a word; "span": tokens that
            stand side by side (SpanBERT merges spans that touch).
        place: int64 [n], ascending. A row begins and ends with a special token, so tokens of two
            rows never stand side by side.
        word_starts: bool [B, L].
    """
    if kind == "piece":
        return None
    begins = np.ones(len(place), np.bool_)
    np.not_equal(place[1:] - place[:-1], 1, out=begins[1:])
    if kind == "word":
        begins |= word_starts.ravel().take(place)
    return np.flatnonzero(begins)


def replace_tokens(
    masked: np.ndarray, chosen: Chosen, settings: MaskingSettings, mask_id: int
) -> None:
    """Make chosen tokens of ``masked`` (the input, int32 [B * L]) [MASK] or random, or keep."""
    begins = chosen.begins
    hidden, random = _draw_actions(*chosen.coordinates(begins), settings)
    if begins is not None:
        sizes = np.diff(begins, append=len(chosen.place))
        hidden, random = np.repeat(hidden, sizes), np.repeat(random, sizes)
    masked[chosen.place[hidden]] = mask_id
    changed = np.flatnonzero(random)
    masked[chosen.place.take(changed)] = _draw(chosen, changed)


def replace_words(
    masked: np.ndarray, chosen: Chosen, settings: MaskingSettings, mask_id: int
) -> None:
    """Make chosen words of ``masked`` (the input, int32 [B * L]) similar or random, or keep them.

    With `mask_prob` a word becomes a similar one; where the table knows none, a random one; with
    `random_prob` a random one: any word of the table with as many pieces, or random tokens when
    there is none.
    """
    table = settings.similar_words
    assert table is not None
    number = len(chosen.place)
    begins = np.arange(number) if chosen.begins is None else chosen.begins
    ends = np.append(begins[1:], number)
    keys, columns = chosen.coordinates(begins)
    hidden, random = _draw_actions(keys, columns, settings)
    # Words are drawn at columns beyond the row's, so that they share no bits with random tokens.
    bits = random_bits(keys, REPLACEMENT_STREAM, columns + chosen.columns)
    substitute = np.full(len(begins), -1, np.int64)
    similar = np.flatnonzero(hidden)
    words = table.look_up(masked.take(chosen.place), begins[similar], ends[similar])
    substitute[similar] = table.draw_similar(words, bits[similar])
    random |= hidden & (substitute < 0)
    any_word = np.flatnonzero(random)
    substitute[any_word] = table.draw_any(ends[any_word] - begins[any_word], bits[any_word])
    known = np.flatnonzero(substitute >= 0)
    word, offset, token = _tokens_of(known, begins, ends)
    masked[chosen.place.take(token)] = table.pieces(substitute.take(word), offset)
    random[known] = False
    _, _, unknown = _tokens_of(np.flatnonzero(random), begins, ends)
    masked[chosen.place.take(unknown)] = _draw(chosen, unknown)


def _tokens_of(
    words: np.ndarray, begins: np.ndarray, ends: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return, for each token of some words: the word, the place in the word, the token's number."""
    begin = begins.take(words)
    size = ends.take(words) - begin
    offset = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
    return np.repeat(words, size), offset, np.repeat(begin, size) + offset


def _draw_actions(
    keys: np.ndarray, columns: np.ndarray, settings: MaskingSettings
) -> tuple[np.ndarray, np.ndarray]:
    """Return bool [n], bool [n]: what becomes [MASK] (or similar), what becomes random."""
    draw = to_unit_interval(random_bits(keys, ACTION_STREAM, columns))
    hidden = draw < settings.mask_prob
    return hidden, (draw < settings.mask_prob + settings.random_prob) & ~hidden


def _draw(chosen: Chosen, which: np.ndarray) -> np.ndarray:
    """Return random tokens for the chosen tokens number ``which``."""
    keys, columns = chosen.coordinates(which)
    bits = random_bits(keys, REPLACEMENT_STREAM, columns)
    return chosen.replacements.take(to_range(bits, len(chosen.replacements)))
