"""Rows of whole lines (RoBERTa's FULL-SENTENCES): nothing lost, nothing cut without need."""

from itertools import pairwise
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mindmlm.data.blocks import FullSentenceSamples
from mindmlm.data.store import TokenStore, TokenStoreWriter

SEP, TOKENS = 2, 1000
DOCUMENTS = st.lists(st.lists(st.integers(0, 25), max_size=6), min_size=1, max_size=20)


def rows_of(folder: Path, documents: list[list[int]], block: int) -> tuple[list[list[int]], list]:
    """The rows that documents (sizes of their lines) give, and the lines that went in."""
    lines: list[list[list[int]]] = []
    first = 5
    with TokenStoreWriter(folder, TOKENS) as writer:
        maker = FullSentenceSamples(writer, block, SEP)
        for sizes in documents:
            tokens = np.arange(first, first + sum(sizes), dtype=np.int32) % (TOKENS - 5) + 5
            first += sum(sizes)
            starts = np.zeros(sum(sizes), np.bool_)
            starts[np.arange(0, sum(sizes), 3)] = True
            maker.add(tokens, starts, sizes)
            ends = np.cumsum(sizes, dtype=np.int64)
            lines.append([line.tolist() for line in np.split(tokens, ends[:-1])])
        assert maker.finish() == 0
    store = TokenStore(folder)
    tokens, begins, lengths = store.gather(np.arange(store.num_samples), block)
    assert begins[np.arange(len(lengths)), 0].all()
    return [row[:n].tolist() for row, n in zip(tokens, lengths, strict=True)], lines


@settings(deadline=None, max_examples=100)
@given(DOCUMENTS, st.integers(4, 30))
def test_rows_hold_whole_lines_in_their_order(tmp_path_factory, documents, block):
    if not any(map(sum, documents)):
        return
    rows, lines = rows_of(tmp_path_factory.mktemp("rows") / "store", documents, block)
    assert max(map(len, rows)) <= block
    text = [token for row in rows for token in row if token != SEP]
    assert text == [token for document in lines for line in document for token in line]
    for row in rows:
        # A separator stands between documents: never at an end, never twice.
        assert row[0] != SEP != row[-1]
        assert all(pair != (SEP, SEP) for pair in pairwise(row))
    packed = [",".join(map(str, row)) for row in rows]
    whole = [line for document in lines for line in document if 0 < len(line) <= block]
    for line in whole:
        assert any(f",{','.join(map(str, line))}," in f",{row}," for row in packed)


@settings(deadline=None, max_examples=50)
@given(DOCUMENTS, st.integers(26, 60))
def test_a_row_ends_only_where_the_next_line_does_not_fit(tmp_path_factory, documents, block):
    documents = [sizes for sizes in documents if sum(sizes)]
    if not documents:
        return
    rows, lines = rows_of(tmp_path_factory.mktemp("rows") / "store", documents, block)
    flat = [(line, n == 0) for document in lines for n, line in enumerate(filter(None, document))]
    expected: list[list[int]] = [[]]
    for line, begins_document in flat:
        between = [SEP] if begins_document and expected[-1] else []
        if len(expected[-1]) + len(between) + len(line) > block:
            expected.append([])
            between = []
        expected[-1] += between + line
    assert rows == expected
