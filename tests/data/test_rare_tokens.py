"""Masks that prefer rare tokens, against the definition and against chances."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mindmlm.data.hashing import derive_keys, random_bits, to_unit_interval
from mindmlm.data.masking import MaskingSettings, TokenBatch, VocabularyInfo, mask_batch
from mindmlm.data.masking.rare_token import token_weights
from mindmlm.tokenizers.bert import SPECIAL_TOKENS, BertTokenizer

VOCABULARY = VocabularyInfo.from_tokenizer(
    BertTokenizer([*SPECIAL_TOKENS, *(f"t{n}" for n in range(45))])
)
UNK, CLS, SEP = 1, 2, 3


def rows_of(seed, rows, columns):
    rng = np.random.default_rng(seed)
    ids = rng.integers(5, 50, (rows, columns)).astype(np.int32)
    ids[rng.random(ids.shape) < 0.1] = UNK
    lengths = rng.integers(2, columns + 1, rows)
    ids[:, 0], ids[np.arange(rows), lengths - 1] = CLS, SEP
    ids[np.arange(columns) >= lengths[:, None]] = 0
    return TokenBatch(ids, np.ones(ids.shape, np.bool_), lengths)


def masked(batch, weights, probability=0.15, limit=None, sample_ids=None):
    ids = np.arange(len(batch.lengths)) if sample_ids is None else sample_ids
    option = MaskingSettings(
        "rare_token",
        masked_lm_prob=probability,
        max_predictions_per_seq=limit,
        token_weights=weights,
    )
    return mask_batch(batch, option, VOCABULARY, 7, np.ones_like(ids), ids)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(3, 40), st.sampled_from([0.1, 0.15, 0.4, 1.0]))
def test_the_fastest_clocks_of_each_row_are_chosen(seed, columns, probability):
    batch = rows_of(seed, 4, columns)
    rng = np.random.default_rng(seed)
    weights = token_weights(rng.integers(0, 1000, 50), 0.7)
    result = masked(batch, weights, probability)
    keys = derive_keys(7, np.ones(4, np.int64), np.arange(4))
    for row in range(4):
        length = int(batch.lengths[row])
        clocks = {
            column: -math.log1p(-to_unit_interval(random_bits(keys[row], 0, np.array([column])))[0])
            / weights[batch.input_ids[row, column]]
            for column in range(length)
            if batch.input_ids[row, column] >= 5
        }
        budget = math.ceil(probability * length - 1e-9)
        expected = sorted(sorted(clocks, key=clocks.__getitem__)[:budget])
        chosen = result.masked_lm_positions[row][result.masked_lm_weights[row] > 0]
        assert chosen.tolist() == expected


def test_chances_are_those_of_the_definition():
    tokens = np.array([CLS, 5, 6, 7, 8, UNK, SEP], np.int32)
    counts = np.zeros(50, np.int64)
    counts[5:9] = [1, 10, 100, 0]
    batch = TokenBatch(
        np.tile(tokens, (20000, 1)), np.ones((20000, 7), np.bool_), np.full(20000, 7)
    )
    result = masked(batch, token_weights(counts, 0.7), limit=1)
    found = np.bincount(result.masked_lm_positions[:, 0], minlength=7)
    wanted = np.array([1.0, 10**-0.7, 100**-0.7, 1.0])
    expected = 20000 * wanted / wanted.sum()
    assert found[[0, 5, 6]].sum() == 0
    assert (((found[1:5] - expected) ** 2) / expected).sum() < 16.3  # 1 in 1000, 3 degrees


def test_masks_of_a_row_do_not_depend_on_the_rows_beside_it():
    batch, weights = rows_of(3, 6, 30), token_weights(np.arange(50), 0.7)
    whole = masked(batch, weights)
    for row in range(6):
        part = slice(row, row + 1)
        alone = TokenBatch(batch.input_ids[part], batch.word_starts[part], batch.lengths[part])
        found = masked(alone, weights, sample_ids=np.array([row]))
        assert np.array_equal(found.input_ids, whole.input_ids[part])
        assert np.array_equal(found.masked_lm_positions, whole.masked_lm_positions[part])


def test_counts_are_those_of_the_training_text(tmp_path):
    from mindmlm.build_data import masking
    from mindmlm.data.store import TokenStore, TokenStoreWriter

    rng = np.random.default_rng(0)
    samples = [rng.integers(0, 50, rng.integers(1, 30)) for _ in range(40)]
    with TokenStoreWriter(tmp_path / "store", 50) as writer:
        for sample in samples:
            writer.append(sample, np.ones(len(sample), np.bool_))
    expected = np.bincount(np.concatenate(samples), minlength=50)
    store = TokenStore(tmp_path / "store")
    assert np.array_equal(masking.token_counts(store, 50), expected)


def test_a_builder_that_masks_at_once_refuses_it(tmp_path, capsys):
    from mindmlm.cli.build_dataset import main

    (tmp_path / "text.txt").write_text("a b c\n" * 5)
    tokens = [*SPECIAL_TOKENS, "a", "b", "c"]
    (tmp_path / "vocab.txt").write_text("".join(f"{token}\n" for token in tokens))
    words = [
        f"--input_file={tmp_path / 'text.txt'}",
        f"--vocab_file={tmp_path / 'vocab.txt'}",
        "--strategy=rare_token",
    ]
    assert main([*words, f"--output_file={tmp_path / 'a.tfrecord'}"]) == 2
    assert "build with --dynamic" in capsys.readouterr().err
    assert main([*words[:2], "--dynamic", f"--output_file={tmp_path / 'b.tfrecord'}"]) == 0


@pytest.mark.parametrize("smoothing", [0.0, 1.0])
def test_smoothing_goes_from_all_alike_to_the_inverse_of_the_count(smoothing):
    counts = np.array([0, 1, 4, 10])
    expected = [1, 1, 1, 1] if smoothing == 0 else [1, 1, 0.25, 0.1]
    np.testing.assert_allclose(token_weights(counts, smoothing), expected)
