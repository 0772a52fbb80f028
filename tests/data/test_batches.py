import threading
import traceback
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mindmlm.data.batches import BatchLayout, EvalBatches, TrainBatches, assemble
from mindmlm.data.loader import Prefetcher
from mindmlm.data.masking import MaskedBatch, MaskingSettings, VocabularyInfo
from mindmlm.data.sampler import GlobalOrder
from mindmlm.data.store import TokenStore, TokenStoreWriter
from mindmlm.tokenizers.bert import SPECIAL_TOKENS, BertTokenizer

LENGTH = 24
VOCABULARY = VocabularyInfo.from_tokenizer(
    BertTokenizer([*SPECIAL_TOKENS, *(f"t{n}" for n in range(300))])
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> TokenStore:
    path: Path = tmp_path_factory.mktemp("batches") / "store"
    rng = np.random.default_rng(0)
    with TokenStoreWriter(path, 305) as writer:
        for _ in range(53):
            count = int(rng.integers(1, LENGTH - 1))
            writer.append(rng.integers(5, 305, count).astype(np.int32), rng.random(count) < 0.6)
    return TokenStore(path)


def test_rows_have_their_special_tokens(store: TokenStore) -> None:
    ids = np.array([0, 4, -1, 52])
    batch = assemble(store, ids, LENGTH, VOCABULARY)
    tokens, starts, lengths = store.gather(np.maximum(ids, 0), LENGTH - 2)
    for row, sample in enumerate(ids):
        count = 0 if sample < 0 else int(lengths[row])
        expected = [2, *tokens[row, :count].tolist(), 3, *[0] * (LENGTH - count - 2)]
        assert batch.input_ids[row].tolist() == expected
        assert batch.lengths[row] == count + 2
        assert (batch.word_starts[row, 1 : count + 1] == starts[row, :count]).all()
        assert batch.word_starts[row, [0, count + 1]].all()


def test_long_samples_are_cut(store: TokenStore) -> None:
    batch = assemble(store, np.arange(53), 8, VOCABULARY)
    assert batch.input_ids.shape == (53, 8)
    assert batch.lengths.max() == 8
    assert (batch.input_ids[batch.lengths == 8, -1] == 3).all()


def train_batches(store: TokenStore, layout: BatchLayout, strategy: str) -> TrainBatches:
    order = GlobalOrder(store.num_samples, seed=4)
    masking = MaskingSettings(strategy, masked_lm_prob=0.3)
    return TrainBatches(store, order, masking, VOCABULARY, layout, LENGTH, seed=4)


def global_rows(
    store: TokenStore, step: int, strategy: str, batch: int, micro: int, ranks: int
) -> list[tuple]:
    rows: dict[int, tuple] = {}
    for rank in range(ranks):
        layout = BatchLayout(batch, micro, ranks, rank)
        batches = train_batches(store, layout, strategy)
        for number, masked in enumerate(batches.global_batch(step)):
            for row, place in enumerate(batches.rows_in_global_batch(number).tolist()):
                assert place not in rows
                rows[place] = (
                    int(masked.sample_ids[row]),
                    masked.input_ids[row].tolist(),
                    masked.masked_lm_positions[row].tolist(),
                    masked.masked_lm_weights[row].tolist(),
                )
    assert sorted(rows) == list(range(batch * micro * ranks))
    return [rows[place] for place in sorted(rows)]


LAYOUTS = [(24, 1, 1), (1, 24, 1), (1, 1, 24), (6, 2, 2), (2, 3, 4), (4, 1, 6), (3, 8, 1)]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 500), st.sampled_from(["token", "whole_word"]), st.sampled_from(LAYOUTS))
def test_a_global_batch_is_the_same_in_every_layout(
    store: TokenStore, step: int, strategy: str, layout: tuple[int, int, int]
) -> None:
    assert global_rows(store, step, strategy, *layout) == global_rows(
        store, step, strategy, 24, 1, 1
    )


def test_an_epoch_sees_every_sample_and_masks_move(store: TokenStore) -> None:
    batches = train_batches(store, BatchLayout(53), "token")
    first, second = batches.global_batch(0)[0], batches.global_batch(1)[0]
    assert sorted(first.sample_ids.tolist()) == sorted(second.sample_ids.tolist())
    rows = [batch.input_ids[np.argsort(batch.sample_ids)] for batch in (first, second)]
    assert (rows[0] != rows[1]).any(axis=1).mean() > 0.5


def test_evaluation_sees_every_sample_once(store: TokenStore) -> None:
    batches = EvalBatches(store, VOCABULARY, 8, LENGTH)
    assert len(batches) == 7
    seen: list[int] = []
    for batch in batches:
        assert batch.input_ids.shape == (8, LENGTH)
        assert batch.masked_lm_ids.shape == (8, 4)
        filler = batch.sample_ids < 0
        assert not batch.masked_lm_weights[filler].any()
        assert (batch.input_mask.sum(axis=1) >= 2).all()
        seen += batch.sample_ids[~filler].tolist()
    assert seen == list(range(53))
    lengths = store.lengths(np.arange(53)) + 2
    expected = sum(min(4, max(1, round(n * 0.15))) for n in lengths.tolist())
    assert sum(batch.masked_lm_weights.sum() for batch in batches) == expected


def test_evaluation_masks_do_not_depend_on_the_batch_size(store: TokenStore) -> None:
    def rows(batch_size: int) -> list[list[int]]:
        found = []
        for batch in EvalBatches(store, VOCABULARY, batch_size, LENGTH):
            found += batch.input_ids[batch.sample_ids >= 0].tolist()
        return found

    assert rows(8) == rows(1) == rows(100)


def test_prefetched_batches_equal_direct_ones(store: TokenStore) -> None:
    batches = train_batches(store, BatchLayout(4, 2), "whole_word")
    with Prefetcher(batches.global_batch, 3, 40, workers=4, prefetch=6) as prefetcher:
        for step, micro_batches in enumerate(prefetcher, start=3):
            for mine, direct in zip(micro_batches, batches.global_batch(step), strict=True):
                for name in MaskedBatch.__dataclass_fields__:
                    assert (getattr(mine, name) == getattr(direct, name)).all()
    assert step == 39


@pytest.mark.parametrize(("workers", "prefetch"), [(1, 1), (2, 1), (3, 8)])
def test_prefetcher_keeps_order(workers: int, prefetch: int) -> None:
    wait = [threading.Event() for _ in range(20)]

    def make(number: int) -> int:
        # Odd numbers finish before the even ones in front of them.
        if workers > 1 and prefetch > 1 and number % 2 == 0:
            assert wait[number].wait(10)
        elif number:
            wait[number - 1].set()
        return number

    assert list(Prefetcher(make, 0, 20, workers, prefetch)) == list(range(20))


def test_prefetcher_raises_where_it_happened() -> None:
    def make(number: int) -> int:
        if number == 3:
            raise ZeroDivisionError("three")
        return number

    prefetcher = Prefetcher(make, 0, None)
    assert [next(prefetcher) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ZeroDivisionError, match="three") as caught:
        next(prefetcher)
    assert "make" in [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    with pytest.raises(StopIteration):
        next(prefetcher)


def test_prefetcher_stops_early_and_joins() -> None:
    started: list[int] = []
    before = threading.active_count()
    prefetcher = Prefetcher(lambda n: started.append(n) or n, 5, None, workers=3, prefetch=4)
    assert next(prefetcher) == 5
    prefetcher.close()
    prefetcher.close()
    assert threading.active_count() == before
    assert max(started) <= 5 + 4
    with pytest.raises(StopIteration):
        next(prefetcher)


def test_prefetcher_with_nothing_to_do() -> None:
    assert list(Prefetcher(lambda n: n, 3, 3)) == []
