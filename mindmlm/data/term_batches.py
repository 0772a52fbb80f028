"""Rows in which terms of a domain are hidden, to measure whether a model knows them."""

import math

import numpy as np

from mindmlm.data.batches import EVAL_MASK_SEED, EVAL_MASKING, assemble
from mindmlm.data.hashing import derive_keys, random_bits
from mindmlm.data.masking import MaskedBatch, TokenBatch, VocabularyInfo
from mindmlm.data.masking.base import SELECTION_STREAM, row_budget
from mindmlm.data.masking.terms import TermTable
from mindmlm.data.packing import with_structure
from mindmlm.data.store import TokenStore

# Terms that overlap are one word; so many of the longest ones may.
_OVERLAPPING = 3


class TermBatches:
    """Every evaluation sample once, with whole terms of it hidden and nothing else.

    Terms are drawn, the same ones every time, until 15 % of the row's tokens are hidden; at least
    one, whatever its length. All tokens of a drawn term become [MASK], since what is left of a term
    would give the rest away. Rows without a term predict nothing.

    Args:
        store: the samples.
        vocabulary: special tokens.
        batch_size: rows; the last batch is filled up with rows of weight 0 and sample id -1.
        max_seq_length: L.
        terms: what is looked for.
    """

    def __init__(
        self,
        store: TokenStore,
        vocabulary: VocabularyInfo,
        batch_size: int,
        max_seq_length: int,
        terms: TermTable,
    ) -> None:
        self._store = store
        self._vocabulary = vocabulary
        self._batch_size = batch_size
        self._max_seq_length = max_seq_length
        self._terms = terms
        share = math.ceil(EVAL_MASKING.masked_lm_prob * max_seq_length)
        self._predictions = min(max_seq_length, max(share, _OVERLAPPING * terms.longest))

    def __len__(self) -> int:
        return -(-self._store.num_samples // self._batch_size)

    def batch(self, number: int) -> MaskedBatch:
        """Return batch ``number``, 0 .. len - 1."""
        ids = np.arange(number * self._batch_size, (number + 1) * self._batch_size, dtype=np.int64)
        ids = np.where(ids < self._store.num_samples, ids, -1)
        tokens = assemble(self._store, ids, self._max_seq_length, self._vocabulary)
        masked = self._masked(tokens, ids)
        return with_structure(masked, tokens.input_ids, self._store.row_form, self._vocabulary)

    def _masked(self, tokens: TokenBatch, ids: np.ndarray) -> MaskedBatch:
        rows, columns = tokens.input_ids.shape
        is_term, starts = self._terms.find(tokens.input_ids, tokens.word_starts)
        budget = row_budget(tokens.lengths, EVAL_MASKING.masked_lm_prob, columns)
        keys = derive_keys(EVAL_MASK_SEED, np.zeros_like(ids), ids)
        positions = np.zeros((rows, self._predictions), np.int32)
        labels = np.zeros((rows, self._predictions), np.int32)
        weights = np.zeros((rows, self._predictions), np.float32)
        hidden = tokens.input_ids.copy()
        for row in np.flatnonzero(is_term.any(axis=1)):
            chosen = self._chosen(is_term[row], starts[row], keys[row], int(budget[row]))
            positions[row, : len(chosen)] = chosen
            labels[row, : len(chosen)] = tokens.input_ids[row, chosen]
            weights[row, : len(chosen)] = 1.0
            hidden[row, chosen] = self._vocabulary.mask_id
        inside = np.arange(columns) < tokens.lengths[:, None]
        return MaskedBatch(
            input_ids=hidden,
            input_mask=inside.astype(np.int32),
            segment_ids=np.zeros((rows, columns), np.int32),
            masked_lm_positions=positions,
            masked_lm_ids=labels,
            masked_lm_weights=weights,
            sample_ids=ids,
        )

    def _chosen(
        self, is_term: np.ndarray, starts: np.ndarray, key: np.ndarray, budget: int
    ) -> np.ndarray:
        """Columns of the drawn terms of a row, ascending."""
        words = np.split(np.arange(len(starts)), np.flatnonzero(starts)[1:])
        terms = [word for word in words if is_term[word[0]] and len(word) <= self._predictions]
        bits = [random_bits(key[None], SELECTION_STREAM, word[:1])[0] for word in terms]
        chosen: list[np.ndarray] = []
        taken = 0
        for number in np.argsort(np.array(bits, np.uint64), kind="stable"):
            if not chosen or taken + len(terms[number]) <= budget:
                chosen.append(terms[number])
                taken += len(terms[number])
        return np.sort(np.concatenate(chosen)) if chosen else np.zeros(0, np.int64)
