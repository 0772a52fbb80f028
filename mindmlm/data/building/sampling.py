"""Documents cut into rows: single texts, next-sentence pairs (BERT), ordered pairs (ALBERT)."""

from array import array
from itertools import pairwise

import numpy as np

from mindmlm.data.blocks import block_end
from mindmlm.data.building.encoded import EncodedDocuments, Rows

SINGLE, NSP, SOP = "none", "nsp", "sop"
_RANDOM_DOCUMENT_TRIES = 10
Span = tuple[int, int]
_Pair = tuple[Span, Span, int]


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
    * "nsp": `create_instances_from_document` of google-research/bert
      (`create_pretraining_data.py`): consecutive segments; half of the second ones, and all of
      those that have no segment left to be made of, come from a random document (label 1), and
      the segments they stand in for are used again.
    * "sop": as google-research/albert: both parts from one document, half of them swapped
      (label 1); a chunk of one segment gets its second part from a random document (label 1).

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
        sampler = _PairSampler(documents, sentence_pairs, max_seq_length - 3, random)
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
        cut = block_end(documents.word_starts, begin, end, _target(room, short_seq_prob, random))
        spans.append((begin, cut))
        begin = cut
    return spans


def _target(room: int, short_seq_prob: float, random: np.random.Generator) -> int:
    if random.random() < short_seq_prob:
        return int(random.integers(2, room, endpoint=True))
    return room


class _PairSampler:
    """Pairs of segments of one document after the other."""

    def __init__(
        self,
        documents: EncodedDocuments,
        sentence_pairs: str,
        room: int,
        random: np.random.Generator,
    ) -> None:
        self._ends = documents.segment_ends
        self._document_ends = documents.document_ends
        self._ordered = sentence_pairs == SOP
        self._room = room
        self._random = random

    def pairs(self, document: int, short_seq_prob: float) -> list[_Pair]:
        """Return (A, B, label) of one document, truncated to the room."""
        segments = self._segments(document)
        target = _target(self._room, short_seq_prob, self._random)
        pairs = []
        first, place, length = 0, 0, 0
        while place < len(segments):
            length += segments[place][1] - segments[place][0]
            if place == len(segments) - 1 or length >= target:
                second, label, used = self._second(segments, document, first, place + 1, target)
                part = (segments[first][0], segments[used - 1][1])
                if self._ordered and label == 0 and self._random.random() < 0.5:
                    pairs.append((*self._truncate(second, part), 1))
                else:
                    pairs.append((*self._truncate(part, second), label))
                # Segments a random one stands in for are used again.
                place = (used if label else place + 1) - 1
                first, length = place + 1, 0
            place += 1
        return pairs

    def _segments(self, document: int) -> list[Span]:
        """Return the segments of a document."""
        first = int(self._document_ends[document - 1]) if document else 0
        begin = int(self._ends[first - 1]) if first else 0
        ends = self._ends[first : self._document_ends[document]].tolist()
        return list(pairwise([begin, *ends]))

    def _second(
        self, segments: list[Span], document: int, first: int, end: int, target: int
    ) -> tuple[Span, int, int]:
        """Return B, its label and the first segment that is not part of A."""
        used = first + 1
        if end - first >= 2:
            used = first + int(self._random.integers(1, end - first))
        alone = end - first == 1
        if alone or (not self._ordered and self._random.random() < 0.5):
            length = segments[used - 1][1] - segments[first][0]
            return self._random_part(document, target - length), 1, used
        return (segments[used][0], segments[end - 1][1]), 0, used

    def _random_part(self, document: int, target: int) -> Span:
        other = document
        for _ in range(_RANDOM_DOCUMENT_TRIES):
            other = int(self._random.integers(len(self._document_ends)))
            if other != document:
                break
        segments = self._segments(other)
        start = int(self._random.integers(len(segments)))
        end = start + 1
        while end < len(segments) and segments[end - 1][1] - segments[start][0] < target:
            end += 1
        return segments[start][0], segments[end - 1][1]

    def _truncate(self, first: Span, second: Span) -> tuple[Span, Span]:
        """Take tokens from the front or the back of the longer part until both fit."""
        parts = [list(first), list(second)]
        sizes = [first[1] - first[0], second[1] - second[0]]
        surplus = sizes[0] + sizes[1] - self._room
        if surplus > 0:
            cuts = [0, 0]
            for _ in range(surplus):
                cuts[sizes[0] - cuts[0] <= sizes[1] - cuts[1]] += 1
            for part, cut in zip(parts, cuts, strict=True):
                front = int(self._random.binomial(cut, 0.5))
                part[0] += front
                part[1] -= cut - front
        return (parts[0][0], parts[0][1]), (parts[1][0], parts[1][1])
