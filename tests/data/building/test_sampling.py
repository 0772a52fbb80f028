"""Rows cut from documents: nothing lost, pairs as BERT and ALBERT make them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mindmlm.data.building.encoded import DocumentBuffer, EncodedDocuments, assemble_rows
from mindmlm.data.building.sampling import sample_rows
from mindmlm.data.encoding import EncodedChunk
from mindmlm.data.masking import VocabularyInfo
from mindmlm.tokenizers.bert import BertTokenizer

documents_strategy = st.lists(
    st.lists(st.integers(0, 30), min_size=1, max_size=8), min_size=1, max_size=12
)


def documents_of(sizes: list[list[int]], seed: int = 0) -> EncodedDocuments:
    """Tokens count up from 5, so a stretch tells where it came from."""
    lengths = np.array([length for document in sizes for length in document], np.int64)
    total = int(lengths.sum())
    counts = np.array([len(document) for document in sizes], np.int64)
    chunk = EncodedChunk(
        hashes=np.zeros(len(sizes), np.uint64),
        lines=counts,
        lengths=lengths,
        tokens=np.arange(5, 5 + total, dtype=np.int32),
        word_starts=np.random.default_rng(seed).random(total) < 0.6,
        segmented=counts,
        fallbacks=np.zeros_like(counts),
    )
    buffer = DocumentBuffer()
    for begin, end in ((0, len(sizes) // 2), (len(sizes) // 2, len(sizes))):
        buffer.add(chunk, begin, end)
    return buffer.take()


def many_documents(seed: int = 1) -> EncodedDocuments:
    rng = np.random.default_rng(seed)
    return documents_of([rng.integers(3, 25, rng.integers(2, 20)).tolist() for _ in range(300)])


def document_of_place(documents: EncodedDocuments) -> np.ndarray:
    sizes = np.diff(documents.token_ends(), prepend=0)
    return np.repeat(np.arange(len(sizes)), sizes)


@settings(deadline=None)
@given(documents_strategy, st.integers(5, 40), st.sampled_from([0.0, 0.3, 1.0]))
def test_single_rows_hold_every_token_once_and_in_order(sizes, length, short):
    documents = documents_of(sizes)
    rows = sample_rows(documents, "none", length, short, (1,))
    begins, ends = rows.spans[:, 0], rows.spans[:, 1]
    assert (ends - begins <= length - 2).all()
    assert (ends > begins).all()
    pieces = [documents.tokens[b:e] for b, e in zip(begins, ends, strict=True)]
    assert np.array_equal(np.concatenate([np.zeros(0, int), *pieces]), documents.tokens)
    owner = document_of_place(documents) if len(documents.tokens) else np.zeros(0)
    assert all(len(set(owner[b:e])) == 1 for b, e in zip(begins, ends, strict=True))


@settings(deadline=None)
@given(documents_strategy, st.integers(5, 40), st.sampled_from(["nsp", "sop"]))
def test_pairs_fit_and_their_labels_are_true(sizes, length, pairs):
    documents = documents_of(sizes)
    rows = sample_rows(documents, pairs, length, 0.1, (2,))
    if not len(documents.tokens):
        assert len(rows) == 0
        return
    owner = document_of_place(documents)
    for (a0, a1, b0, b1), label in zip(rows.spans.tolist(), rows.labels.tolist(), strict=True):
        assert a1 > a0
        assert b1 > b0
        assert a1 - a0 + b1 - b0 <= length - 3
        assert len(set(owner[a0:a1])) == len(set(owner[b0:b1])) == 1
        if label == 0:
            assert owner[a0] == owner[b0]
            assert a1 <= b0


@pytest.mark.parametrize("pairs", ["nsp", "sop"])
def test_half_of_the_pairs_are_true(pairs):
    documents = many_documents()
    rows = sample_rows(documents, pairs, 32, 0.1, (3,))
    assert len(rows) > 1000
    owner = document_of_place(documents)
    same = owner[rows.spans[:, 0]] == owner[rows.spans[:, 2]]
    if pairs == "nsp":
        # Chunks of one segment take a random second part too, so more than half are random.
        assert not same[rows.labels == 1].any() or same[rows.labels == 1].mean() < 0.02
        assert 0.45 < rows.labels.mean() < 0.8
    else:
        swapped = (rows.labels == 1) & same
        assert (rows.spans[swapped, 2] < rows.spans[swapped, 0]).all()
        share = swapped.sum() / (swapped.sum() + (rows.labels == 0).sum())
        assert abs(share - 0.5) < 0.05


def test_unused_segments_of_random_pairs_are_used_again():
    documents = many_documents(4)
    rows = sample_rows(documents, "nsp", 64, 0.0, (4,))
    first = rows.spans[:, :2].tolist() + rows.spans[rows.labels == 0, 2:].tolist()
    covered = np.zeros(len(documents.tokens), bool)
    for begin, end in first:
        covered[begin:end] = True
    # Only truncation loses tokens.
    assert covered.mean() > 0.85


def test_short_rows_are_as_frequent_as_asked_for():
    documents = documents_of([[4000]] * 5)
    rows = sample_rows(documents, "none", 50, 0.3, (5,))
    sizes = rows.spans[:, 1] - rows.spans[:, 0]
    # A cut moves back to a word; with 60 % word starts rarely by more than 4.
    assert 0.2 < (sizes < 44).mean() < 0.35


def test_rows_are_put_together_with_their_special_tokens(tokenizer: BertTokenizer):
    documents = documents_of([[3, 4], [5]])
    vocabulary = VocabularyInfo.from_tokenizer(tokenizer)
    spans = np.array([[0, 3, 3, 6], [7, 9, 0, 0]])
    rows = assemble_rows(documents.tokens, documents.word_starts, spans, 10, vocabulary)
    cls, sep, pad = vocabulary.cls_id, vocabulary.sep_id, vocabulary.pad_id
    assert rows.batch.input_ids.tolist() == [
        [cls, 5, 6, 7, sep, 8, 9, 10, sep, pad],
        [cls, 12, 13, sep, *[pad] * 6],
    ]
    assert rows.segment_ids.tolist() == [[0, 0, 0, 0, 0, 1, 1, 1, 1, 0], [0] * 10]
    assert rows.batch.lengths.tolist() == [9, 4]
    assert rows.batch.word_starts[:, [0, 1]].all()
    assert rows.batch.word_starts[0, [4, 5, 8]].all()
