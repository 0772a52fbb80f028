"""Hidden terms: which ones, all of each, the same every time."""

import numpy as np
import pytest

from mindmlm.data.masking import VocabularyInfo
from mindmlm.data.masking.terms import TermTable
from mindmlm.data.store import TokenStore, TokenStoreWriter
from mindmlm.data.term_batches import TermBatches
from mindmlm.tokenizers.bert import SPECIAL_TOKENS, BertTokenizer

VOCABULARY = VocabularyInfo.from_tokenizer(
    BertTokenizer([*SPECIAL_TOKENS, *(f"t{n}" for n in range(45))])
)
TERMS = [(5, 6), (7, 8, 9), (10,), (20, 21, 22, 23)]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "store"
    rng = np.random.default_rng(0)
    with TokenStoreWriter(path, 50) as writer:
        for _ in range(60):
            sample: list[int] = []
            for _ in range(rng.integers(1, 9)):
                term = TERMS[rng.integers(len(TERMS))] if rng.random() < 0.4 else ()
                sample += [*term, *rng.integers(30, 50, rng.integers(1, 4))]
            writer.append(np.array(sample), np.ones(len(sample), np.bool_))
    return TokenStore(path)


def occurrences(ids):
    """Columns of each term in a row, found by looking at every place."""
    found = []
    for start in range(len(ids)):
        for term in TERMS:
            if tuple(ids[start : start + len(term)]) == term:
                found.append(list(range(start, start + len(term))))
    return found


def test_whole_terms_are_hidden_and_nothing_else(store):
    table = TermTable([np.array(term) for term in TERMS], 1.0)
    assert (table.longest, table.number) == (4, 4)
    batches = TermBatches(store, VOCABULARY, 16, 32, table)
    seen = 0
    for number in range(len(batches)):
        batch = batches.batch(number)
        again = batches.batch(number)
        assert batch.input_ids.tobytes() == again.input_ids.tobytes()
        for row, sample in enumerate(batch.sample_ids):
            weights = batch.masked_lm_weights[row] > 0
            chosen = batch.masked_lm_positions[row][weights]
            if sample < 0:
                assert not len(chosen)
                continue
            tokens, _, lengths = store.gather(np.array([sample]), 30)
            original = np.zeros(32, np.int64)
            original[0], original[1 + lengths[0]] = 2, 3
            original[1 : 1 + lengths[0]] = tokens[0, : lengths[0]]
            known = occurrences(original.tolist())
            hidden = [term for term in known if set(term) <= set(chosen.tolist())]
            # Only whole terms, and one at least where there is one.
            assert sorted(column for term in hidden for column in term) == chosen.tolist()
            assert bool(len(chosen)) == bool(known)
            share = max(1, round(0.15 * (lengths[0] + 2)))
            assert len(chosen) <= share or len(hidden) == 1
            left_out = [term for term in known if term not in hidden]
            assert all(len(chosen) + len(term) > share for term in left_out)
            assert (batch.input_ids[row, chosen] == VOCABULARY.mask_id).all()
            assert np.array_equal(batch.masked_lm_ids[row][weights], original[chosen])
            rest = np.setdiff1d(np.arange(32), chosen)
            assert np.array_equal(batch.input_ids[row, rest], original[rest])
            seen += len(chosen)
    assert seen > 100
