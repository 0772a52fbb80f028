"""Documents of a shard cut into rows: single texts or pairs of segments."""

from array import array

import numpy as np

from mindmlm.data.blocks import block_end
from mindmlm.data.building.encoded import EncodedDocuments, Rows
from mindmlm.data.sentence_pairs.sampling import (
    RANDOM_DOCUMENT_TRIES,
    SINGLE,
    SPECIAL_TOKENS,
    PairSampler,
    Span,
    segments_between,
    target_length,
)


def sample_rows(
    documents: EncodedDocuments,
    sentence_pairs: str,
    max_seq_length: int,
    short_seq_prob: float,
    seed: tuple[int, ...],
) -> Rows:
    """Cut all documents of a shard into rows, once.

    * "none": consecutive stretches of a document of at most ``max_seq_length - 2`` tokens that
      end before the beginning of a word where possible; nothing is lost.
    * "nsp", "sop": see `PairSampler`.

    With ``short_seq_prob`` a row aims at a random smaller length.

    Args:
        documents: of one shard; the random documents are drawn from them.
        sentence_pairs: "none", "nsp" or "sop".
        max_seq_length: tokens of a row with its special ones.
        short_seq_prob: see above.
        seed: of all random choices.
    """
    random = np.random.Generator(np.random.Philox(np.random.SeedSequence(seed)))
    # Four bytes a number: tuples of a whole shard would take more memory than its tokens.
    spans, labels = array("i"), array("b")
    if sentence_pairs == SINGLE:
        begin = 0
        for end in documents.token_ends().tolist():
            for span in _cut(documents, begin, end, max_seq_length - 2, short_seq_prob, random):
                spans.extend((*span, 0, 0))
                labels.append(0)
            begin = end
    else:
        shard, room = _ShardDocuments(documents), max_seq_length - SPECIAL_TOKENS
        sampler = PairSampler(shard, sentence_pairs, room, random)
        for number in range(len(documents)):
            for first, second, label in sampler.pairs(number, short_seq_prob):
                spans.extend((*first, *second))
                labels.append(label)
    return Rows(np.array(spans, np.int32).reshape(-1, 4), np.array(labels, np.int8))


def _cut(
    documents: EncodedDocuments,
    begin: int,
    end: int,
    room: int,
    short_seq_prob: float,
    random: np.random.Generator,
) -> list[Span]:
    spans = []
    while begin < end:
        target = target_length(room, short_seq_prob, random)
        cut = block_end(documents.word_starts, begin, end, target)
        spans.append((begin, cut))
        begin = cut
    return spans


class _ShardDocuments:
    """The documents of a shard for `PairSampler`."""

    def __init__(self, documents: EncodedDocuments) -> None:
        self._ends = documents.segment_ends
        self._document_ends = documents.document_ends

    def segments(self, document: int) -> list[Span]:
        first = int(self._document_ends[document - 1]) if document else 0
        return segments_between(self._ends, first, int(self._document_ends[document]))

    def another(self, document: int, random: np.random.Generator) -> int:
        other = document
        for _ in range(RANDOM_DOCUMENT_TRIES):
            other = int(random.integers(len(self._document_ends)))
            if other != document:
                break
        return other
