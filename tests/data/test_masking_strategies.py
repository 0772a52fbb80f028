"""Span, n-gram, similar words, mixtures, terms and rates, against plain loops and statistics."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mindmlm.data.hashing import derive_keys, random_bits
from mindmlm.data.masking import (
    MaskedBatch,
    MaskingSettings,
    TokenBatch,
    VocabularyInfo,
    mask_batch,
)
from mindmlm.data.masking.ngram import NGRAM_PROBABILITIES, ngram_lengths
from mindmlm.data.masking.similar_words import SimilarWords
from mindmlm.data.masking.span import SPAN_LENGTH_PROBABILITIES, span_lengths
from mindmlm.data.masking.terms import TermTable
from mindmlm.tokenizers.bert import SPECIAL_TOKENS, BertTokenizer

VOCAB_SIZE = 300
VOCABULARY = VocabularyInfo.from_tokenizer(
    BertTokenizer([*SPECIAL_TOKENS, *(f"t{n}" for n in range(VOCAB_SIZE - 5))])
)
UNK, CLS, SEP, MASK = 1, 2, 3, 4


def rows_of(seed: int, rows: int, columns: int, words: float = 0.6, unknown: float = 0.03):
    """Random rows of random lengths; one token is a word with probability ``words``."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(5, VOCAB_SIZE, (rows, columns)).astype(np.int32)
    ids[rng.random((rows, columns)) < unknown] = UNK
    starts = rng.random((rows, columns)) < words
    lengths = rng.integers(3, columns + 1, rows) if unknown else np.full(rows, columns)
    ids[:, 0] = CLS
    ids[np.arange(rows), lengths - 1] = SEP
    ids[np.arange(columns) >= lengths[:, None]] = 0
    starts[:, :2] = True
    starts |= np.arange(columns) >= lengths[:, None] - 1
    return TokenBatch(ids, starts, lengths)


def mask(batch: TokenBatch, option: MaskingSettings, seed: int = 7, epoch: int = 1) -> MaskedBatch:
    rows = len(batch.lengths)
    return mask_batch(batch, option, VOCABULARY, seed, np.full(rows, epoch), np.arange(rows))


def keys_of(batch: TokenBatch, seed: int = 7, epoch: int = 1) -> np.ndarray:
    rows = len(batch.lengths)
    return derive_keys(seed, np.full(rows, epoch), np.arange(rows))


def picked(result: MaskedBatch, row: int) -> list[int]:
    return result.masked_lm_positions[row][result.masked_lm_weights[row] > 0].tolist()


def z_score(hits: int, draws: int, probability: float) -> float:
    return abs(hits - draws * probability) / math.sqrt(draws * probability * (1 - probability))


def chi_square(counts: np.ndarray, probabilities: np.ndarray) -> float:
    expected = counts.sum() * probabilities
    return float(((counts - expected) ** 2 / expected).sum())


def usable_words(batch: TokenBatch, row: int) -> list[list[int] | None]:
    """Columns of each word of a row; None stands for a word with a special token."""
    words: list[list[int]] = []
    for column in range(int(batch.lengths[row])):
        if batch.word_starts[row, column]:
            words.append([])
        words[-1].append(column)
    return [word if (batch.input_ids[row, word] >= 5).all() else None for word in words]


def anchors(columns: list[int], key: np.ndarray) -> list[int]:
    bits = random_bits(key, 0, np.array(columns, np.int64))
    return [columns[place] for place in np.argsort(bits)]


def span_reference(batch: TokenBatch, row: int, key: np.ndarray, budget: int) -> set[int]:
    """SpanBERT's loop (PairWithSpanMaskingScheme.mask), its anchors and lengths drawn by ours."""
    words = usable_words(batch, row)
    covered: set[int] = set()
    tokens = [column for word in words if word for column in word]
    for attempt, anchor in enumerate(anchors(tokens, key)):
        if len(covered) >= budget:
            break
        if anchor in covered:
            continue
        place = next(n for n, word in enumerate(words) if word and anchor in word)
        for word in words[place : place + int(span_lengths(key, attempt)[0])]:
            if word is None:
                break
            for column in word:
                if len(covered) < budget:
                    covered.add(column)
    return covered


# Long rows are ordered in parts, so a few of them are tried as well.
LENGTHS = st.integers(3, 60) | st.sampled_from([256, 257, 512, 700])


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**6), LENGTHS, st.floats(0.01, 0.9), st.integers(1, 60))
def test_spans_equal_the_published_loop(seed, columns, probability, limit):
    batch = rows_of(seed, 5, columns)
    option = MaskingSettings("span", masked_lm_prob=probability, max_predictions_per_seq=limit)
    result = mask(batch, option)
    keys = keys_of(batch)
    for row in range(5):
        length = int(batch.lengths[row])
        ordinary = int((batch.input_ids[row, :length] >= 5).sum())
        usable = sum(len(word) for word in usable_words(batch, row) if word)
        budget = min(limit, math.ceil(ordinary * probability - 1e-9))
        assert set(picked(result, row)) == span_reference(batch, row, keys[row : row + 1], budget)
        assert len(picked(result, row)) == min(budget, usable)


def test_a_row_of_special_tokens_only_ends_and_predicts_nothing():
    ids = np.array([[CLS, UNK, UNK, SEP, 0], [CLS, SEP, 0, 0, 0]], np.int32)
    batch = TokenBatch(ids, np.ones_like(ids, np.bool_), np.array([4, 2]))
    table = SimilarWords([np.array([9])], {})
    for strategy in ("token", "rare_token", "whole_word", "span", "token_span", "ngram", "macbert"):
        option = MaskingSettings(strategy, similar_words=table, token_weights=np.ones(VOCAB_SIZE))
        result = mask(batch, option)
        assert not result.masked_lm_weights.any()
        assert (result.input_ids == ids).all()


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**6), st.integers(3, 60), st.floats(0.05, 0.9), st.integers(1, 60))
def test_token_spans_meet_their_budget(seed, columns, probability, limit):
    batch = rows_of(seed, 5, columns)
    option = MaskingSettings(
        "token_span", masked_lm_prob=probability, max_predictions_per_seq=limit
    )
    result = mask(batch, option)
    for row in range(5):
        ordinary = int((batch.input_ids[row, : int(batch.lengths[row])] >= 5).sum())
        expected = min(limit, max(1, round(ordinary * probability)), ordinary)
        assert len(picked(result, row)) == expected


def ngram_reference(batch, row, key, budget, limit):
    words = usable_words(batch, row)
    taken: set[int] = set()
    size = drawn = 0
    starts = {word[0]: place for place, word in enumerate(words) if word}
    for start in anchors(list(starts), key):
        if len(taken) >= budget or size >= limit:
            break
        gram: list[int] = []
        columns = 0
        longest = int(ngram_lengths(key, np.array([drawn]))[0])
        for place in range(starts[start], starts[start] + longest):
            word = words[place]
            if word is None or len(taken) + len(gram) == budget:
                break
            if size + columns + len(word) > limit:
                break
            gram.append(place)
            columns += len(word)
        if gram and not taken & set(gram):
            taken |= set(gram)
            size += columns
            drawn += 1
    return {column for place in taken for column in words[place]}


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**6), LENGTHS, st.floats(0.05, 0.9), st.integers(1, 60))
def test_ngrams_equal_a_plain_loop(seed, columns, probability, limit):
    batch = rows_of(seed, 5, columns)
    option = MaskingSettings("ngram", masked_lm_prob=probability, max_predictions_per_seq=limit)
    result = mask(batch, option)
    keys = keys_of(batch)
    for row in range(5):
        number = sum(word is not None for word in usable_words(batch, row))
        budget = max(1, round(number * probability))
        expected = ngram_reference(batch, row, keys[row : row + 1], budget, limit)
        assert set(picked(result, row)) == expected


@pytest.mark.parametrize(
    ("draw", "probabilities"),
    [
        (lambda keys: span_lengths(keys, 3), SPAN_LENGTH_PROBABILITIES),
        (lambda keys: ngram_lengths(keys, np.full(len(keys), 2)), NGRAM_PROBABILITIES),
    ],
)
def test_lengths_have_the_published_shares(draw, probabilities):
    keys = derive_keys(3, np.arange(200_000))
    counts = np.bincount(draw(keys) - 1, minlength=len(probabilities))
    assert len(counts) == len(probabilities)
    freedom = len(probabilities) - 1
    assert chi_square(counts, probabilities) < freedom + 5 * math.sqrt(2 * freedom)


def test_span_probabilities_are_spanberts():
    published = [0.2241, 0.1792, 0.1434, 0.1147, 0.0918, 0.0734, 0.0587, 0.0470, 0.0376, 0.0301]
    assert np.allclose(SPAN_LENGTH_PROBABILITIES, published, atol=6e-5)
    assert (SPAN_LENGTH_PROBABILITIES * np.arange(1, 11)).sum() == pytest.approx(3.8, abs=0.01)


def runs_of(columns: list[int]) -> list[list[int]]:
    runs: list[list[int]] = []
    for column in columns:
        if not runs or runs[-1][-1] + 1 != column:
            runs.append([])
        runs[-1].append(column)
    return runs


def test_a_span_has_one_draw():
    batch = rows_of(1, 32_000, 128, unknown=0)
    result = mask(batch, MaskingSettings("span"))
    kinds = {"mask": 0, "random": 0, "kept": 0}
    for row in range(32_000):
        for run in runs_of(picked(result, row)):
            after, before = result.input_ids[row, run], batch.input_ids[row, run]
            if (after == MASK).all():
                kinds["mask"] += 1
            elif (after == before).all():
                kinds["kept"] += 1
            else:
                # A random token is now and then the original one, never [MASK].
                assert not (after == MASK).any()
                kinds["random"] += 1
    spans = sum(kinds.values())
    assert spans > 100_000
    assert z_score(kinds["mask"], spans, 0.8) < 4
    # A run of one random token equals the original once in VOCAB_SIZE draws: below the bound.
    assert z_score(kinds["kept"], spans, 0.1) < 5
    assert z_score(kinds["random"], spans, 0.1) < 5


def test_random_tokens_of_spans_follow_the_corpus():
    batch = rows_of(1, 4_000, 128, unknown=0)
    corpus = np.array([50, 50, 50, 60], np.int32)
    option = MaskingSettings("span", mask_prob=0.0, random_prob=1.0, corpus_tokens=corpus)
    result = mask(batch, option)
    row, slot = np.nonzero(result.masked_lm_weights)
    drawn = result.input_ids[row, result.masked_lm_positions[row, slot]]
    assert set(np.unique(drawn)) == {50, 60}
    assert z_score(int((drawn == 50).sum()), len(drawn), 0.75) < 4


@pytest.mark.parametrize("strategy", ["whole_word", "ngram", "span"])
def test_unit_word_draws_once_a_word(strategy):
    batch = rows_of(2, 15_000, 128, unknown=0)
    result = mask(batch, MaskingSettings(strategy, unit="word"))
    words = masked = 0
    number = np.cumsum(batch.word_starts, axis=1)
    for row in range(0, 15_000, 10):
        columns = np.array(picked(result, row))
        for word in np.unique(number[row, columns]):
            after = result.input_ids[row, columns[number[row, columns] == word]]
            assert (after == MASK).all() or not (after == MASK).any()
            words += 1
            masked += bool((after == MASK).all())
    assert z_score(masked, words, 0.8) < 4


def similar_table() -> SimilarWords:
    words = [np.array([n]) for n in range(5, 150)] + [np.array([n, n + 1]) for n in range(5, 150)]
    similar = {place: [(place + 1) % 145, (place + 2) % 145] for place in range(100)}
    similar |= {145 + place: [145 + (place + 7) % 145] for place in range(145)}
    return SimilarWords(words, similar)


def test_macbert_replaces_whole_words_by_similar_ones():
    batch = rows_of(3, 30_000, 128, words=0.9, unknown=0)
    result = mask(batch, MaskingSettings("macbert", similar_words=similar_table()))
    assert not (result.input_ids == MASK).any()
    number = np.cumsum(batch.word_starts, axis=1)
    row, slot = np.nonzero(result.masked_lm_weights)
    column = result.masked_lm_positions[row, slot]
    before, after = batch.input_ids[row, column], result.input_ids[row, column]
    word = row * 1000 + number[row, column]
    size = np.bincount(np.searchsorted(np.unique(word), word))[
        np.searchsorted(np.unique(word), word)
    ]
    single = size == 1
    has_similar = single & (before < 105)
    moved = (after - before)[has_similar]
    draws = len(moved)
    assert draws > 100_000
    # 80 % similar, half of them the first; 10 % any of the 145 single words.
    assert z_score(int((moved == 1).sum()), draws, 0.4 + 0.1 / 145) < 4
    assert z_score(int((moved == 2).sum()), draws, 0.4 + 0.1 / 145) < 4
    assert z_score(int((moved == 0).sum()), draws, 0.1 + 0.1 / 145) < 4
    without = single & (before >= 105)
    random = after[without & (after != before)]
    assert (random < 150).all()
    assert (
        z_score(
            int((after == before)[without & (before >= 150)].sum()),
            int((without & (before >= 150)).sum()),
            0.1,
        )
        < 4
    )
    assert chi_square(np.bincount(random, minlength=150)[5:], np.full(145, 1 / 145)) < 145 + 90


def test_macbert_keeps_the_number_of_pieces():
    batch = rows_of(3, 500, 64, words=0.4, unknown=0)
    row, column = np.nonzero(~batch.word_starts)
    batch.input_ids[row, column] = np.minimum(batch.input_ids[row, column - 1] + 1, VOCAB_SIZE - 1)
    result = mask(
        batch,
        MaskingSettings("macbert", mask_prob=1.0, random_prob=0.0, similar_words=similar_table()),
    )
    number = np.cumsum(batch.word_starts, axis=1)
    pairs = 0
    for row in range(500):
        columns = np.array(picked(result, row))
        for word in np.unique(number[row, columns]):
            places = columns[number[row, columns] == word]
            before, after = batch.input_ids[row, places], result.input_ids[row, places]
            if len(places) == 2 and before[1] == before[0] + 1 and before[0] < 150:
                assert after.tolist() == [
                    5 + (before[0] - 5 + 7) % 145,
                    6 + (before[0] - 5 + 7) % 145,
                ]
                pairs += 1
            assert (after >= 5).all()
    assert pairs > 100


def test_a_mixture_draws_the_strategy_of_each_row_by_weight():
    batch = rows_of(4, 20_000, 20, unknown=0)
    weights = {"token": 1.0, "whole_word": 2.0, "span": 5.0}
    mixed = mask(batch, MaskingSettings("mixture", mixture=tuple(weights.items())))
    alone = {name: mask(batch, MaskingSettings(name)) for name in weights}
    equal = {
        name: (one.masked_lm_positions == mixed.masked_lm_positions).all(axis=1)
        & (one.input_ids == mixed.input_ids).all(axis=1)
        for name, one in alone.items()
    }
    assert np.logical_or.reduce(list(equal.values())).all()
    only = equal["span"] & ~equal["token"] & ~equal["whole_word"]
    distinct = ~(
        (alone["span"].masked_lm_positions == alone["token"].masked_lm_positions).all(axis=1)
        | (alone["span"].masked_lm_positions == alone["whole_word"].masked_lm_positions).all(axis=1)
    )
    assert z_score(int(only[distinct].sum()), int(distinct.sum()), 5 / 8) < 4


def test_a_term_is_one_word_and_is_chosen_by_its_weight():
    rows, columns = 100_000, 12
    ids = np.tile(np.array([CLS, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, SEP], np.int32), (rows, 1))
    batch = TokenBatch(ids, np.ones_like(ids, np.bool_), np.full(rows, columns))
    terms = TermTable([np.array([12, 13]), np.array([17])], weight=4.0)
    option = MaskingSettings("whole_word", max_predictions_per_seq=2, terms=terms)
    result = mask(batch, option)
    first = (result.masked_lm_positions == 3).any(axis=1)
    second = (result.masked_lm_positions == 4).any(axis=1)
    assert (first == second).all()
    # Nine words: two of weight 4, seven of 1. It is first, with 4/15; later it does not fit.
    assert z_score(int(first.sum()), rows, 4 / 15) < 4
    singles = mask(batch, MaskingSettings("token", max_predictions_per_seq=1, terms=terms))
    hits = int((singles.masked_lm_positions == 8).sum())
    assert z_score(hits, rows, 4 / 19) < 4


@pytest.mark.parametrize("starts", [[1, 1, 1, 0, 1, 1], [1, 1, 1, 1, 0, 1]])
def test_a_term_inside_of_a_word_is_not_found(starts):
    ids = np.array([[CLS, 10, 11, 12, 13, SEP]], np.int32)
    terms = TermTable([np.array([11, 12])], 2.0)
    word_starts = np.array([starts], np.bool_)
    found, after = terms.find(ids, word_starts)
    expected = starts[4] == 1
    assert found[0].tolist() == [False, False, expected, expected, False, False]
    assert (after == word_starts).all()


def test_the_rate_goes_to_its_end_with_one_shape():
    option = MaskingSettings(
        "token", masked_lm_prob=0.3, masked_lm_prob_end=0.1, masked_lm_prob_steps=10
    )
    assert [round(option.at_step(n, 100).masked_lm_prob, 6) for n in (0, 5, 10, 99)] == [
        0.3,
        0.2,
        0.1,
        0.1,
    ]
    assert {option.at_step(n, 100).predictions(100) for n in range(20)} == {30}
    batch = rows_of(5, 50, 100, unknown=0)
    counts = [mask(batch, option.at_step(n, 100)).masked_lm_weights.sum(axis=1) for n in (0, 5, 10)]
    assert [set(count.tolist()) for count in counts] == [{30.0}, {20.0}, {10.0}]
