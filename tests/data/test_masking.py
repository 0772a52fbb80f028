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
from mindmlm.data.masking.apply import STRATEGIES
from mindmlm.data.masking.similar_words import SimilarWords
from mindmlm.data.masking.terms import TermTable
from mindmlm.tokenizers.bert import SPECIAL_TOKENS, BertTokenizer

VOCAB_SIZE = 200
VOCABULARY = VocabularyInfo.from_tokenizer(
    BertTokenizer([*SPECIAL_TOKENS, *(f"t{n}" for n in range(VOCAB_SIZE - 5))])
)
UNK, CLS, SEP, MASK = 1, 2, 3, 4
SIMILAR = SimilarWords(
    [np.array([n]) for n in range(5, 100)] + [np.array([n, n + 1]) for n in range(5, 100)],
    {n: [(n + 1) % 95, (n + 2) % 95] for n in range(0, 95, 2)},
)
TERMS = TermTable([np.array([n, m]) for n in range(5, 30) for m in range(5, 200)], 5.0)


def random_rows(seed: int, rows: int, columns: int, unknown: float = 0.03) -> TokenBatch:
    rng = np.random.default_rng(seed)
    ids = rng.integers(5, VOCAB_SIZE, (rows, columns)).astype(np.int32)
    draws = rng.random((rows, columns))
    ids[draws < unknown] = UNK
    ids[(draws >= unknown) & (draws < unknown + 0.02)] = SEP
    starts = rng.random((rows, columns)) < 0.6
    starts |= ids == SEP
    starts[:, 1:] |= ids[:, :-1] == SEP
    lengths = rng.integers(3, columns + 1, rows)
    ids[:, 0] = CLS
    ids[np.arange(rows), lengths - 1] = SEP
    ids[np.arange(columns) >= lengths[:, None]] = 0
    starts[:, :2] = True
    starts |= np.arange(columns) >= lengths[:, None] - 1
    return TokenBatch(ids, starts, lengths)


def row_of(batch: TokenBatch, row: int) -> TokenBatch:
    return TokenBatch(
        batch.input_ids[row : row + 1],
        batch.word_starts[row : row + 1],
        batch.lengths[row : row + 1],
    )


def mask(
    batch: TokenBatch, options: MaskingSettings, seed: int = 1, epoch: int = 0, first: int = 0
) -> MaskedBatch:
    rows = len(batch.lengths)
    return mask_batch(
        batch, options, VOCABULARY, seed, np.full(rows, epoch), np.arange(first, first + rows)
    )


def chosen_columns(result: MaskedBatch, row: int) -> list[int]:
    return result.masked_lm_positions[row][result.masked_lm_weights[row] > 0].tolist()


def reference_word_selection(
    batch: TokenBatch, row: int, order: list[int], budget: int
) -> list[int]:
    """google-research/bert create_masked_lm_predictions, for a given order of words."""
    words: dict[int, list[int]] = {}
    for column in range(batch.lengths[row]):
        if batch.word_starts[row, column]:
            start = column
        words.setdefault(start, []).append(column)
    chosen: list[int] = []
    for start in order:
        if len(chosen) >= budget:
            break
        if len(chosen) + len(words[start]) <= budget:
            chosen += words[start]
    return sorted(chosen)


batches = st.builds(random_rows, st.integers(0, 10_000), st.integers(1, 6), st.integers(3, 40))
options = st.builds(
    MaskingSettings,
    strategy=st.sampled_from(sorted([*STRATEGIES, "mixture"])),
    masked_lm_prob=st.floats(0.01, 1.0),
    mask_prob=st.floats(0, 0.5),
    random_prob=st.floats(0, 0.5),
    max_predictions_per_seq=st.one_of(st.none(), st.integers(1, 50)),
    unit=st.sampled_from(["published", "piece", "word"]),
    mixture=st.just((("span", 1.0), ("whole_word", 2.0), ("macbert", 3.0))),
    terms=st.sampled_from([None, TERMS]),
    token_weights=st.just(np.linspace(0.1, 2.0, VOCAB_SIZE)),
    similar_words=st.just(SIMILAR),
)


@settings(max_examples=300, deadline=None)
@given(batches, options, st.integers(-5, 2**63), st.integers(0, 1000))
def test_invariants(batch: TokenBatch, option: MaskingSettings, seed: int, epoch: int) -> None:
    result = mask(batch, option, seed, epoch)
    rows, columns = batch.input_ids.shape
    width = option.predictions(columns)
    assert result.masked_lm_positions.shape == result.masked_lm_ids.shape == (rows, width)
    assert result.masked_lm_weights.dtype == np.float32
    assert result.input_ids.dtype == result.masked_lm_positions.dtype == np.int32
    assert (result.input_mask.sum(axis=1) == batch.lengths).all()
    assert not result.segment_ids.any()
    for row in range(rows):
        picked = chosen_columns(result, row)
        length = int(batch.lengths[row])
        budget = min(width, max(1, round(length * option.masked_lm_prob)))
        # Spans round up and n-grams count words; the others keep BERT's budget.
        assert len(picked) <= (
            budget if option.strategy in ("token", "whole_word", "token_span") else width
        )
        assert picked == sorted(set(picked))
        assert (result.masked_lm_ids[row][: len(picked)] == batch.input_ids[row, picked]).all()
        assert not np.isin(batch.input_ids[row, picked], range(5)).any()
        assert not result.masked_lm_positions[row][len(picked) :].any()
        assert not result.masked_lm_ids[row][len(picked) :].any()
        untouched = np.delete(np.arange(columns), picked)
        assert (result.input_ids[row, untouched] == batch.input_ids[row, untouched]).all()
        assert not np.isin(result.input_ids[row, picked], [0, UNK, CLS, SEP]).any()
        assert option.strategy != "macbert" or not (result.input_ids[row] == MASK).any()
        candidates = int((batch.input_ids[row, :length] >= 5).sum())
        if option.strategy == "token":
            assert len(picked) == min(budget, candidates)


@settings(max_examples=150, deadline=None)
@given(batches, options, st.integers(0, 2**40))
def test_a_row_does_not_depend_on_the_others(
    batch: TokenBatch, option: MaskingSettings, first: int
) -> None:
    whole = mask(batch, option, seed=9, epoch=3, first=first)
    for row in range(len(batch.lengths)):
        alone = mask(row_of(batch, row), option, seed=9, epoch=3, first=first + row)
        assert (alone.input_ids[0] == whole.input_ids[row]).all()
        assert (alone.masked_lm_positions[0] == whole.masked_lm_positions[row]).all()


@settings(max_examples=200, deadline=None)
@given(batches, st.floats(0.05, 1.0), st.integers(1, 40))
def test_words_are_whole_and_follow_the_published_algorithm(
    batch: TokenBatch, probability: float, limit: int
) -> None:
    option = MaskingSettings(
        "whole_word", masked_lm_prob=probability, max_predictions_per_seq=limit
    )
    result = mask(batch, option, seed=5)
    everything = MaskingSettings("token", masked_lm_prob=1.0, max_predictions_per_seq=999)
    for row in range(len(batch.lengths)):
        length = int(batch.lengths[row])
        picked = set(chosen_columns(result, row))
        word = np.cumsum(batch.word_starts[row])[:length]
        sizes = []
        for number in np.unique(word):
            columns = set(np.flatnonzero(word == number).tolist())
            special = bool((batch.input_ids[row, sorted(columns)] < 5).any())
            assert columns <= picked or not columns & picked
            assert not (special and columns & picked)
            if not special and not columns & picked:
                sizes.append(len(columns))
        budget = min(limit, max(1, round(length * probability)))
        assert not sizes or min(sizes) > budget - len(picked)
    assert mask(batch, everything).masked_lm_weights.sum() == (batch.input_ids >= 5).sum()


@pytest.mark.parametrize(("columns", "limit"), [(40, 9), (600, 9), (600, 90), (257, 300)])
def test_order_of_words_and_skipping_equal_the_published_algorithm(
    columns: int, limit: int
) -> None:
    batch = random_rows(3, 200, columns, unknown=0)
    option = MaskingSettings("whole_word", masked_lm_prob=0.3, max_predictions_per_seq=limit)
    result = mask(batch, option, seed=77, epoch=2)
    keys = derive_keys(77, np.full(200, 2), np.arange(200))
    for row in range(200):
        starts = np.flatnonzero(batch.word_starts[row] & (np.arange(columns) < batch.lengths[row]))
        starts = starts[batch.input_ids[row, starts] >= 5]
        bits = random_bits(keys[row : row + 1], 0, starts)
        order = starts[np.argsort(bits)].tolist()
        budget = min(limit, max(1, round(int(batch.lengths[row]) * 0.3)))
        assert chosen_columns(result, row) == reference_word_selection(batch, row, order, budget)


def z_score(hits: int, draws: int, probability: float) -> float:
    return abs(hits - draws * probability) / math.sqrt(draws * probability * (1 - probability))


@pytest.mark.parametrize("strategy", ["token", "whole_word"])
def test_eighty_ten_ten(strategy: str) -> None:
    batch = random_rows(0, 12_000, 128)
    result = mask(batch, MaskingSettings(strategy), seed=11)
    row, slot = np.nonzero(result.masked_lm_weights)
    inputs = result.input_ids[row, result.masked_lm_positions[row, slot]]
    labels = result.masked_lm_ids[row, slot]
    draws = len(labels)
    assert draws > 100_000
    ordinary = VOCAB_SIZE - 5
    assert z_score(int((inputs == MASK).sum()), draws, 0.8) < 4
    # A random token is the original one once in every `ordinary` draws.
    assert z_score(int((inputs == labels).sum()), draws, 0.1 + 0.1 / ordinary) < 4
    drawn = inputs[(inputs != MASK) & (inputs != labels)]
    counts = np.bincount(drawn, minlength=VOCAB_SIZE)[5:]
    expected = len(drawn) / ordinary
    chi_square = float(((counts - expected) ** 2 / expected).sum())
    assert abs(chi_square - (ordinary - 1)) < 5 * math.sqrt(2 * ordinary)


def test_every_column_is_chosen_equally_often() -> None:
    rows, columns = 20_000, 66
    ids = np.full((rows, columns), 9, np.int32)
    ids[:, 0], ids[:, -1] = CLS, SEP
    batch = TokenBatch(ids, np.ones_like(ids, np.bool_), np.full(rows, columns))
    result = mask(batch, MaskingSettings("token"), seed=4)
    chosen = np.bincount(result.masked_lm_positions.ravel(), minlength=columns)[1:-1]
    assert result.masked_lm_weights.sum() == 10 * rows
    variance = rows * (10 / 64) * (54 / 64)
    assert np.abs(chosen - rows * 10 / 64).max() < 5 * math.sqrt(variance)
    chi_square = float(((chosen - rows * 10 / 64) ** 2).sum() / variance)
    assert abs(chi_square - 63) < 5 * math.sqrt(2 * 63)


def test_neighbouring_columns_are_independent() -> None:
    rows, columns = 20_000, 66
    ids = np.full((rows, columns), 9, np.int32)
    ids[:, 0], ids[:, -1] = CLS, SEP
    batch = TokenBatch(ids, np.ones_like(ids, np.bool_), np.full(rows, columns))
    result = mask(batch, MaskingSettings("token"), seed=8)
    hit = np.zeros((rows, columns), np.bool_)
    np.put_along_axis(hit, result.masked_lm_positions.astype(np.int64), True, axis=1)
    together = int((hit[:, 1:-2] & hit[:, 2:-1]).sum())
    # Drawn without replacement: 10 of 64, then 9 of 63.
    assert z_score(together, rows * 63, 10 / 64 * 9 / 63) < 4


def test_masks_change_with_seed_epoch_and_sample() -> None:
    batch = random_rows(1, 50, 128)
    base = mask(batch, MaskingSettings(), seed=1, epoch=0)
    for other in (
        mask(batch, MaskingSettings(), seed=2),
        mask(batch, MaskingSettings(), seed=1, epoch=1),
        mask(batch, MaskingSettings(), seed=1, first=50),
    ):
        overlap = np.mean(
            [
                len(set(chosen_columns(base, row)) & set(chosen_columns(other, row)))
                / max(1, len(chosen_columns(base, row)))
                for row in range(50)
            ]
        )
        assert overlap < 0.35
    again = mask(batch, MaskingSettings(), seed=1, epoch=0)
    assert (again.input_ids == base.input_ids).all()


def test_masks_are_the_ones_of_earlier_versions() -> None:
    # A resumed run of an older version must see the same masks: changing this is a break.
    ids = np.arange(5, 25, dtype=np.int32)[None, :].copy()
    ids[0, 0], ids[0, -1] = CLS, SEP
    batch = TokenBatch(ids, np.ones_like(ids, np.bool_), np.array([20]))
    result = mask(batch, MaskingSettings(), seed=42, epoch=1, first=7)
    assert chosen_columns(result, 0) == [10, 11, 14]


@pytest.mark.parametrize(
    ("probability", "length", "expected"),
    [(0.15, 128, 20), (0.07, 100, 7), (0.15, 512, 77), (0.15, 20, 3), (1.0, 16, 16), (1e-4, 8, 1)],
)
def test_predictions_of_a_row(probability: float, length: int, expected: int) -> None:
    assert MaskingSettings(masked_lm_prob=probability).predictions(length) == expected


def test_unknown_strategy() -> None:
    with pytest.raises(KeyError):
        mask(random_rows(0, 1, 10), MaskingSettings("no_such"))
