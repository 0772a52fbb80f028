"""Documents packed into rows: nothing lost, nothing cut without need, rows nearly full."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mindmlm.data.batches import BatchLayout, EvalBatches, TrainBatches
from mindmlm.data.masking import MaskingSettings, VocabularyInfo
from mindmlm.data.packing import IsolatedSamples, PackedBatch
from mindmlm.data.sampler import GlobalOrder
from mindmlm.data.store import DOCUMENTS, PAIRS, SINGLE, TokenStore, TokenStoreWriter
from mindmlm.tokenizers.bert import SPECIAL_TOKENS, BertTokenizer

TOKENIZER = BertTokenizer([*SPECIAL_TOKENS, *(f"t{n}" for n in range(2000))])
VOCABULARY = VocabularyInfo.from_tokenizer(TOKENIZER)
SEP, CLS = TOKENIZER.sep_id, TOKENIZER.cls_id


def pack(folder: Path, sizes: list[int], block: int) -> TokenStore:
    with TokenStoreWriter(folder, TOKENIZER.vocab_size, DOCUMENTS) as writer:
        maker = IsolatedSamples(writer, block, SEP, CLS)
        first = 5
        for size in sizes:
            tokens = np.arange(first, first + size) % 2000 + 5
            maker.add(tokens.astype(np.int32), np.ones(size, np.bool_), [size])
            first += size
        maker.finish()
    return TokenStore(folder)


def pieces_of(store: TokenStore, block: int) -> list[list[int]]:
    tokens, _, lengths = store.gather(np.arange(store.num_samples), block)
    pieces = []
    for row, length in zip(tokens, lengths, strict=True):
        text = [CLS, *row[:length].tolist(), SEP]
        begins = [place for place, token in enumerate(text) if token == CLS]
        for begin, end in zip(begins, [*begins[1:], len(text)], strict=True):
            assert text[end - 1] == SEP
            pieces.append(text[begin + 1 : end - 1])
    return pieces


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=60), st.integers(4, 30))
def test_every_document_stands_in_one_row(tmp_path_factory, sizes: list[int], block: int):
    if not any(sizes):
        return
    store = pack(tmp_path_factory.mktemp("packed") / "store", sizes, block)
    pieces = pieces_of(store, block)
    assert sorted(token for piece in pieces for token in piece) == sorted(
        (np.arange(5, 5 + sum(sizes)) % 2000 + 5).tolist()
    )
    whole = {tuple(piece) for piece in pieces}
    first = 5
    for size in sizes:
        document = tuple((np.arange(first, first + size) % 2000 + 5).tolist())
        first += size
        assert not 0 < size <= block or document in whole
    assert store.lengths(np.arange(store.num_samples)).max() <= block


def test_rows_are_nearly_full(tmp_path: Path):
    sizes = np.random.default_rng(0).integers(3, 60, 3000).tolist()
    store = pack(tmp_path / "store", sizes, 126)
    assert store.lengths(np.arange(store.num_samples)).mean() > 0.97 * 126


def test_ids_of_documents_and_positions(tmp_path: Path):
    store = pack(tmp_path / "store", [3, 4, 30, 2], 14)
    order = GlobalOrder(store.num_samples, 0, shuffle=False)
    masking = MaskingSettings("token", mask_prob=0.0, random_prob=0.0)
    layout = BatchLayout(store.num_samples)
    train = TrainBatches(store, order, masking, VOCABULARY, layout, 16, 0).global_batch(0)[0]
    evaluation = EvalBatches(store, VOCABULARY, store.num_samples + 1, 16).batch(0)
    for batch in (train, evaluation):
        assert isinstance(batch, PackedBatch)
    assert isinstance(train, PackedBatch)
    for ids, mask, documents, positions in zip(
        train.input_ids, train.input_mask, train.document_ids, train.position_ids, strict=True
    ):
        expected = np.cumsum(ids == CLS) * mask
        assert np.array_equal(documents, expected)
        for number in range(1, documents.max() + 1):
            inside = positions[documents == number]
            assert np.array_equal(inside, np.arange(len(inside)))
            assert ids[documents == number][-1] == SEP
        assert (positions[mask == 0] == 0).all()


@pytest.mark.parametrize(("form", "second"), [(PAIRS, 1), (SINGLE, 0)])
def test_pairs_have_two_segments(tmp_path: Path, form: str, second: int):
    with TokenStoreWriter(tmp_path / "store", 2005, form) as writer:
        writer.append(np.array([7, 8, SEP, 9, 10, 11], np.int32), np.ones(6, np.bool_))
        writer.append(np.array([7, SEP, 9], np.int32), np.ones(3, np.bool_))
    store = TokenStore(tmp_path / "store")
    batch = EvalBatches(store, VOCABULARY, 2, 10).batch(0)
    assert not isinstance(batch, PackedBatch)
    assert (batch.segment_ids * (1 - second)).sum() == 0
    if second:
        assert batch.segment_ids.tolist() == [
            [0, 0, 0, 0, 1, 1, 1, 1, 0, 0],
            [0, 0, 0, 1, 1, 0, 0, 0, 0, 0],
        ]
