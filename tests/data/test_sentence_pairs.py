"""Pairs that are made of documents anew in every epoch."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mindmlm.data.batches import BatchLayout, EvalBatches, TrainBatches
from mindmlm.data.masking import MaskingSettings, VocabularyInfo
from mindmlm.data.sampler import GlobalOrder
from mindmlm.data.sentence_pairs import PairBatch
from mindmlm.data.sentence_pairs.samples import PairSamples
from mindmlm.data.sentence_pairs.store import (
    SECTION_SEGMENTS,
    PairSettings,
    PairStore,
    PairStoreWriter,
)
from mindmlm.errors import DataError
from mindmlm.tokenizers.bert import SPECIAL_TOKENS, BertTokenizer

LENGTH, ROOM, VOCAB = 32, 29, 60_000
VOCABULARY = VocabularyInfo.from_tokenizer(
    BertTokenizer([*SPECIAL_TOKENS, *(f"t{n}" for n in range(VOCAB))])
)


def written(path: Path, documents: list[list[int]], pairs: str, short: float = 0.1) -> PairStore:
    """Tokens count up from 5 over all documents, so a token tells where it came from."""
    first = 5
    with PairStoreWriter(path, VOCAB + 5, PairSettings(pairs, LENGTH, short)) as writer:
        for lengths in documents:
            tokens = np.arange(first, first + sum(lengths), dtype=np.int32)
            writer.add(tokens, np.ones(len(tokens), np.bool_), lengths)
            first += len(tokens)
    return PairStore(path)


def random_documents(count: int = 150) -> list[list[int]]:
    random = np.random.default_rng(2)
    short = [random.integers(2, 14, random.integers(1, 20)).tolist() for _ in range(count)]
    return [*short, [5] * (2 * SECTION_SEGMENTS + 7), [90, 3, 70], [0, 4, 0, 6]]


@pytest.fixture(scope="module", params=["nsp", "sop"])
def store(request, tmp_path_factory) -> PairStore:
    path = tmp_path_factory.mktemp("pairs") / "store"
    return written(path, random_documents(), request.param)


def owners(store: PairStore) -> np.ndarray:
    sizes = [sum(lengths) for lengths in random_documents()]
    assert sum(sizes) == store.num_tokens
    return np.repeat(np.arange(len(sizes)), sizes)


def every_pair(store: PairStore, epoch: int) -> tuple[np.ndarray, np.ndarray]:
    ids = np.arange(store.num_samples)
    return store.pairs(ids, np.full_like(ids, epoch), seed=3)


def test_labels_are_true_and_rows_fit(store: PairStore) -> None:
    owner, ordered = owners(store), store.settings.sentence_pairs == "sop"
    for epoch in range(3):
        spans, labels = every_pair(store, epoch)
        sizes = spans[:, 1] - spans[:, 0], spans[:, 3] - spans[:, 2]
        assert min(map(np.min, sizes)) > 0 and np.max(sizes[0] + sizes[1]) <= ROOM
        for begin, end in ((0, 1), (2, 3)):
            assert (owner[spans[:, begin]] == owner[spans[:, end] - 1]).all()
        same = owner[spans[:, 0]] == owner[spans[:, 2]]
        assert same[labels == 0].all()
        assert (spans[labels == 0, 1] <= spans[labels == 0, 2]).all()
        if ordered:
            swapped = (labels == 1) & same
            assert (spans[swapped, 3] <= spans[swapped, 0]).mean() > 0.97
            assert 0.4 < swapped.sum() / same.sum() < 0.6
        else:
            assert same[labels == 1].mean() < 0.02
            assert 0.45 < labels.mean() < 0.75


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 9), st.data())
def test_a_pair_is_a_function_of_seed_epoch_and_sample(store: PairStore, epoch, data) -> None:
    spans, labels = every_pair(store, epoch)
    ids = np.array(data.draw(st.lists(st.integers(0, store.num_samples - 1), max_size=9)), int)
    some = store.pairs(ids, np.full_like(ids, epoch), seed=3)
    assert np.array_equal(some[0], spans[ids]) and np.array_equal(some[1], labels[ids])


def test_other_epochs_and_seeds_give_other_pairs(store: PairStore) -> None:
    ids = np.arange(store.num_samples)
    spans = [store.pairs(ids, np.full_like(ids, e), s)[0] for e, s in ((0, 3), (1, 3), (0, 4))]
    for other in spans[1:]:
        assert (spans[0] != other).any(axis=1).mean() > 0.5


def test_epochs_see_all_of_the_text(store: PairStore) -> None:
    seen = np.zeros(store.num_tokens, int)
    for epoch in range(20):
        spans, _ = every_pair(store, epoch)
        for a0, a1, b0, b1 in spans.tolist():
            seen[a0:a1] += 1
            seen[b0:b1] += 1
    # The long lines are never whole in a row; what is cut off changes from row to row.
    assert (seen > 0).mean() > 0.97
    long = seen[owners(store) == 150]
    assert long.min() > 0 and long.max() < 5 * long.mean()


def test_short_rows_are_as_frequent_as_asked_for(tmp_path: Path) -> None:
    documents = [[4] * 60] * 200
    for short in (0.0, 0.5):
        store = written(tmp_path / f"{short}", documents, "sop", short)
        spans, _ = every_pair(store, 0)
        lengths = spans[:, 1] - spans[:, 0] + spans[:, 3] - spans[:, 2]
        sections = np.searchsorted(store._row_ends, np.arange(len(lengths)), side="right")
        longest = np.zeros(200, int)
        np.maximum.at(longest, sections, lengths)
        # A target is one of a section; 28 of the 29 tokens are whole lines.
        assert abs((longest < 28).mean() - short * 26 / 28) < 0.1 * (short > 0) + 1e-9


def batch(store: PairStore, layout: BatchLayout, step: int) -> list[PairBatch]:
    order = GlobalOrder(store.num_samples, 7)
    masking = MaskingSettings("whole_word")
    return TrainBatches(store, order, masking, VOCABULARY, layout, LENGTH, 7).global_batch(step)


def test_batches_are_pairs_in_every_layout(store: PairStore) -> None:
    (whole,) = batch(store, BatchLayout(12), 5)
    assert isinstance(whole, PairBatch) and whole.next_sentence_labels.shape == (12,)
    parts = [
        part
        for micro in range(2)
        for rank in range(3)
        for part in [batch(store, BatchLayout(2, 2, 3, rank), 5)[micro]]
    ]
    for name in ("input_ids", "segment_ids", "next_sentence_labels", "masked_lm_positions"):
        together = np.concatenate([getattr(part, name) for part in parts])
        assert np.array_equal(together, getattr(whole, name)), name
    ids, ends = whole.input_ids, whole.input_mask.sum(axis=1)
    for row in range(12):
        sep = np.flatnonzero(ids[row] == VOCABULARY.sep_id)
        assert len(sep) == 2 and sep[1] == ends[row] - 1 and ids[row, 0] == VOCABULARY.cls_id
        expected = (np.arange(LENGTH) > sep[0]) & (np.arange(LENGTH) <= sep[1])
        assert np.array_equal(whole.segment_ids[row], expected)


def test_evaluation_has_the_same_pairs_whatever_the_batch(store: PairStore) -> None:
    def rows(size: int) -> list:
        found = []
        for some in EvalBatches(store, VOCABULARY, size, LENGTH):
            known = some.sample_ids >= 0
            empty = some.input_ids[~known]
            assert (empty[:, :3] == [VOCABULARY.cls_id, VOCABULARY.sep_id, 0]).all()
            found += list(
                zip(
                    some.input_ids[known].tolist(),
                    some.next_sentence_labels[known].tolist(),
                    strict=True,
                )
            )
        return found

    assert rows(64) == rows(7)


def test_one_line_documents_are_refused(tmp_path: Path) -> None:
    writer = PairStoreWriter(tmp_path / "s", 100, PairSettings("nsp", LENGTH, 0.1))
    with pytest.raises(DataError, match="text_format"), writer:
        samples = PairSamples(writer, for_evaluation=False)
        for _ in range(3):
            samples.add(np.arange(5, 9, dtype=np.int32), np.ones(4, np.bool_), [4])
        samples.finish()
    assert not list(tmp_path.iterdir())


def test_damage_is_found(tmp_path: Path) -> None:
    store = written(tmp_path / "s", random_documents(5), "nsp")
    with (store.path / "section_ends.bin").open("ab") as file:
        file.write(b"\0" * 8)
    with pytest.raises(DataError, match=r"incomplete or damaged|were written"):
        PairStore(tmp_path / "s")
