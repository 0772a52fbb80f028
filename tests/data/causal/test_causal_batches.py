from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mindmlm.data.batches import BatchLayout
from mindmlm.data.causal import CausalTrainBatches, RowForm
from mindmlm.data.sampler import GlobalOrder
from mindmlm.data.store import BLOCKS, TokenStore, TokenStoreWriter

WIDTH, END = 12, 7


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> TokenStore:
    path: Path = tmp_path_factory.mktemp("causal") / "store"
    rng = np.random.default_rng(0)
    with TokenStoreWriter(path, 300, BLOCKS) as writer:
        for _ in range(37):
            writer.append(rng.integers(0, 300, int(rng.integers(2, WIDTH + 2))).astype(np.int32))
    return TokenStore(path)


def batches_of(store: TokenStore, layout: BatchLayout) -> CausalTrainBatches:
    return CausalTrainBatches(
        store, GlobalOrder(store.num_samples, seed=4), layout, RowForm(WIDTH, END, True)
    )


def global_rows(store: TokenStore, layouts: list[BatchLayout], step: int) -> np.ndarray:
    """All arrays of a step over all ranks, each row at its place in the global batch."""
    rows: dict[int, np.ndarray] = {}
    for layout in layouts:
        batches = batches_of(store, layout)
        for micro, batch in enumerate(batches.global_batch(step)):
            assert batch.document_ids is not None and batch.position_ids is not None
            arrays = [batch.input_ids, batch.labels, batch.weights]
            arrays += [batch.document_ids, batch.position_ids]
            whole = np.stack(arrays, axis=1)
            rows.update(zip(batches.rows_in_global_batch(micro).tolist(), whole, strict=True))
    assert sorted(rows) == list(range(layouts[0].global_batch_size))
    return np.stack([rows[place] for place in sorted(rows)])


@settings(deadline=None)
@given(
    shape=st.sampled_from([(24, 1, 1), (4, 3, 2), (2, 4, 3), (1, 1, 24), (6, 4, 1)]),
    step=st.integers(0, 10**9),
)
def test_same_samples_in_every_layout(
    store: TokenStore, shape: tuple[int, int, int], step: int
) -> None:
    size, micro, ranks = shape
    layouts = [BatchLayout(size, micro, ranks, rank) for rank in range(ranks)]
    one = global_rows(store, [BatchLayout(12, 2)], step)
    assert (global_rows(store, layouts, step) == one).all()
    assert not (global_rows(store, layouts, step + 1) == one).all()


def test_every_sample_once_an_epoch(store: TokenStore) -> None:
    batches = batches_of(store, BatchLayout(37))
    ids = np.arange(37)
    lengths = sorted(store.lengths(ids).tolist())
    for epoch in range(3):
        (batch,) = batches.global_batch(epoch)
        assert sorted(batch.weights.sum(axis=1).astype(int) + 1) == lengths


def test_blocks_have_no_word_starts(store: TokenStore) -> None:
    assert not (store.path / "word_starts.bin").exists()
    assert TokenStore(store.path).fingerprint == store.fingerprint
    tokens, starts, lengths = store.gather(np.arange(37), WIDTH + 1)
    assert starts.all()
    assert (lengths == store.lengths(np.arange(37))).all()
    assert tokens.max() < 300
