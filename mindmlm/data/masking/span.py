"""Span masking (Joshi et al., 2020, SpanBERT)."""

from dataclasses import replace

import numpy as np

from mindmlm.data.hashing import random_bits, to_unit_interval
from mindmlm.data.masking.base import LENGTH_STREAM, Rows, row_budget
from mindmlm.data.masking.order import chosen_columns, rank_columns, walk
from mindmlm.data.masking.words import group_words

GEOMETRIC_P = 0.2
MAX_SPAN = 10
_WEIGHTS = GEOMETRIC_P * (1 - GEOMETRIC_P) ** np.arange(MAX_SPAN)
SPAN_LENGTH_PROBABILITIES = _WEIGHTS / _WEIGHTS.sum()
_CUMULATIVE = np.cumsum(SPAN_LENGTH_PROBABILITIES)[:-1]
_MEAN_SPAN = float((SPAN_LENGTH_PROBABILITIES * np.arange(1, MAX_SPAN + 1)).sum())


def select_spans(rows: Rows, masked_lm_prob: float, predictions: int) -> np.ndarray:
    """Return spans of 1 to 10 words, their lengths geometric with p = 0.2, mean 3.8.

    The budget is ``min(P, ceil(n * masked_lm_prob))``, n = ordinary tokens. An anchor is drawn
    from the tokens that no span covers yet and moved to the first token of its word; spans may
    overlap; the last one ends where the budget does, be it inside of a word, so the budget is
    always met (SpanBERT, `pretraining/fairseq/data/masking.py`). A span ends before a word that
    holds a special token. See `mindmlm.data.masking.base.Strategy`.
    """
    # 0.15 * 100 is 15.000000000000002 in some spellings: no ceiling above what was asked for.
    wanted = np.ceil(rows.ordinary.sum(axis=1) * masked_lm_prob - 1e-9).astype(np.int64)
    return _select(rows, np.minimum(predictions, wanted), predictions)


def select_token_spans(rows: Rows, masked_lm_prob: float, predictions: int) -> np.ndarray:
    """Return spans of 1 to 10 tokens that begin anywhere, the form of earlier MLM scripts.

    As `select_spans`, every token being a word, with the budget
    ``min(P, max(1, round(n * masked_lm_prob)))``, n = ordinary tokens. A row without ordinary
    tokens predicts nothing.
    """
    tokens = replace(rows, word_starts=np.ones_like(rows.word_starts))
    budget = row_budget(rows.ordinary.sum(axis=1), masked_lm_prob, predictions)
    return _select(tokens, budget, predictions)


def _select(rows: Rows, left: np.ndarray, predictions: int) -> np.ndarray:
    words = group_words(rows)
    covered = np.zeros(words.shape[0] * words.shape[1], np.bool_)
    runs = words.runs()
    left = left.copy()
    ranked = rank_columns(words.usable_tokens(), rows)
    expected = _expected_spans(left)
    lengths = span_lengths(rows.keys[:, None], np.arange(expected))
    for number, (row, column) in enumerate(walk(ranked, left, expected)):
        place = row * words.shape[1] + column
        free = ~covered[place]
        row, word = row[free], words.of_token[place[free]]
        length = lengths[row, number] if number < expected else span_lengths(rows.keys[row], number)
        length = np.minimum(length, runs[word])
        left[row] -= _cover(covered, words.first[word], words.first[word + length], left[row])
    return chosen_columns(covered.reshape(words.shape), predictions)


def span_lengths(keys: np.ndarray, number: np.ndarray | int) -> np.ndarray:
    """Return int64, words of the ``number``-th span that a row tries; the arguments broadcast."""
    draw = to_unit_interval(random_bits(keys, LENGTH_STREAM, np.atleast_1d(number)))
    return np.searchsorted(_CUMULATIVE, draw, side="right") + 1


def _expected_spans(budget: np.ndarray) -> int:
    return int(2 * budget.max(initial=0) / _MEAN_SPAN)


def _cover(
    covered: np.ndarray, begin: np.ndarray, end: np.ndarray, limit: np.ndarray
) -> np.ndarray:
    """Cover up to ``limit`` new places in ``begin`` .. ``end`` of each row; return how many."""
    places = begin[:, None] + np.arange(int((end - begin).max(initial=0)))
    new = places < end[:, None]
    np.minimum(places, len(covered) - 1, out=places)
    new &= ~covered[places]
    count = np.cumsum(new, axis=1)
    new &= count <= limit[:, None]
    covered[places[new]] = True
    return new.sum(axis=1)
