"""Length bucketing: every sample as often as without, static shapes, O(1), every layout alike."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mindmlm.data.batches import BatchLayout
from mindmlm.data.bucketing import BucketedBatches, BucketIndex, BucketSchedule
from mindmlm.data.masking import MaskingSettings, VocabularyInfo
from mindmlm.data.store import TokenStore, TokenStoreWriter
from mindmlm.tokenizers.bert import SPECIAL_TOKENS, BertTokenizer

LENGTHS = [8, 16, 32]
VOCABULARY = VocabularyInfo.from_tokenizer(
    BertTokenizer([*SPECIAL_TOKENS, *(f"t{n}" for n in range(300))])
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> TokenStore:
    path: Path = tmp_path_factory.mktemp("buckets") / "store"
    rng = np.random.default_rng(0)
    with TokenStoreWriter(path, 305) as writer:
        for _ in range(211):
            count = int(rng.integers(1, 31))
            writer.append(rng.integers(5, 305, count).astype(np.int32), rng.random(count) < 0.6)
    return TokenStore(path)


@given(
    st.lists(st.integers(0, 60), min_size=1, max_size=5).filter(any),
    st.integers(1, 17),
    st.integers(0, 5),
)
@settings(deadline=None)
def test_every_sample_is_seen_equally_often(sizes: list[int], batch: int, seed: int) -> None:
    schedule = BucketSchedule(sizes, batch, seed)
    for epochs in (1, 3):
        steps = schedule.steps_before(epochs)
        assert 0 <= steps * batch - epochs * sum(sizes) < batch * len(sizes)
        places = Counter(schedule.at(step) for step in range(steps))
        expected = {
            (bucket, number * batch)
            for bucket, size in enumerate(sizes)
            for number in range(-(-size * epochs // batch))
        }
        assert places.keys() == expected
        assert max(places.values(), default=1) == 1


def test_a_late_step_is_found_at_once() -> None:
    schedule = BucketSchedule([10**9, 7 * 10**8, 3], 256, 0)
    bucket, place = schedule.at(10**12)
    assert 0 <= bucket < 3
    assert place % 256 == 0


def test_epochs_are_shuffled_anew() -> None:
    schedule = BucketSchedule([40, 40, 40], 4, 1)
    epochs = [[schedule.at(30 * epoch + step)[0] for step in range(30)] for epoch in range(3)]
    assert epochs[0] != epochs[1] != epochs[2]
    assert all(Counter(epoch) == {0: 10, 1: 10, 2: 10} for epoch in epochs)
    in_order = BucketSchedule([40, 40, 40], 4, 1, shuffle=False)
    assert [in_order.at(step)[0] for step in range(30)] == [0] * 10 + [1] * 10 + [2] * 10


def test_samples_are_in_the_smallest_bucket_that_holds_them(store: TokenStore) -> None:
    index = BucketIndex(store, LENGTHS)
    found = []
    for bucket, size in enumerate(index.sizes.tolist()):
        ids = index.sample_ids(bucket, np.arange(size))
        rows = store.lengths(ids) + 2
        assert (rows <= LENGTHS[bucket]).all()
        assert bucket == 0 or (rows > LENGTHS[bucket - 1]).all()
        found += ids.tolist()
    assert sorted(found) == list(range(store.num_samples))


def batches_of(store: TokenStore, layout: BatchLayout, predictions: int | None = None):
    masking = MaskingSettings("whole_word", masked_lm_prob=0.3, max_predictions_per_seq=predictions)
    return BucketedBatches(store, masking, VOCABULARY, layout, LENGTHS, seed=4)


@pytest.mark.parametrize("step", [0, 5, 26, 27, 123_456_789])
def test_any_layout_gives_the_same_global_batch(store: TokenStore, step: int) -> None:
    def rows(batch: int, micro: int, ranks: int) -> list[tuple]:
        found = {}
        for rank in range(ranks):
            batches = batches_of(store, BatchLayout(batch, micro, ranks, rank))
            for number, masked in enumerate(batches.global_batch(step)):
                for row, place in enumerate(batches.rows_in_global_batch(number).tolist()):
                    found[place] = (
                        int(masked.sample_ids[row]),
                        masked.input_ids[row].tolist(),
                        masked.masked_lm_positions[row].tolist(),
                    )
        return [found[place] for place in sorted(found)]

    expected = rows(8, 1, 1)
    assert rows(2, 2, 2) == expected
    assert rows(1, 2, 4) == expected
    assert len({len(ids) for _, ids, _ in expected}) == 1


@pytest.mark.parametrize("predictions", [None, 9])
def test_shapes_are_few_and_nothing_is_cut(store: TokenStore, predictions: int | None) -> None:
    batches = batches_of(store, BatchLayout(8), predictions)
    shapes = set()
    seen: Counter[int] = Counter()
    for step in range(40):
        (masked,) = batches.global_batch(step)
        length = masked.input_ids.shape[1]
        shapes.add((length, masked.masked_lm_ids.shape[1]))
        seen.update(masked.sample_ids.tolist())
        assert (masked.input_mask.sum(axis=1) == store.lengths(masked.sample_ids) + 2).all()
        assert masked.masked_lm_weights.sum(axis=1).max() <= masked.masked_lm_ids.shape[1]
    wide = {None: [3, 5, 10], 9: [3, 5, 9]}[predictions]
    assert shapes == set(zip(LENGTHS, wide, strict=True))
    assert len(seen) > 200
