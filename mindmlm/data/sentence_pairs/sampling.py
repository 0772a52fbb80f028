"""Documents cut into pairs of segments: next-sentence pairs (BERT), ordered pairs (ALBERT)."""

from itertools import pairwise
from typing import Protocol

import numpy as np

SINGLE, NSP, SOP = "none", "nsp", "sop"
# [CLS] A [SEP] B [SEP]
SPECIAL_TOKENS = 3
RANDOM_DOCUMENT_TRIES = 10
Span = tuple[int, int]
Pair = tuple[Span, Span, int]


class Documents(Protocol):
    """Documents in segments; a span is a stretch of all tokens."""

    def segments(self, document: int) -> list[Span]:
        """The segments of a document, at least one."""

    def another(self, document: int, random: np.random.Generator) -> int:
        """A random document; another one where there are several."""


def segments_between(segment_ends: np.ndarray, first: int, stop: int) -> list[Span]:
    """Return the segments with the numbers ``first`` .. ``stop`` - 1.

    Args:
        segment_ends: where each segment ends; it begins where the one before ends.
    """
    begin = int(segment_ends[first - 1]) if first else 0
    return list(pairwise([begin, *segment_ends[first:stop].tolist()]))


def target_length(room: int, short_seq_prob: float, random: np.random.Generator) -> int:
    """Return how many tokens a row aims at: all that there is room for, or a random number."""
    if random.random() < short_seq_prob:
        return int(random.integers(2, room, endpoint=True))
    return room


class PairSampler:
    """Pairs of segments of one document after the other.

    * "nsp": `create_instances_from_document` of google-research/bert
      (`create_pretraining_data.py`): consecutive segments; half of the second ones, and all of
      those that have no segment left to be made of, come from a random document (label 1), and
      the segments they stand in for are used again.
    * "sop": as google-research/albert: both parts from one document, half of them swapped
      (label 1); a chunk of one segment gets its second part from a random document (label 1).

    Args:
        documents: what is cut.
        sentence_pairs: "nsp" or "sop".
        room: most tokens of A and B together.
        random: of all choices.
    """

    def __init__(
        self,
        documents: Documents,
        sentence_pairs: str,
        room: int,
        random: np.random.Generator,
    ) -> None:
        self._documents = documents
        self._ordered = sentence_pairs == SOP
        self._room = room
        self._random = random

    def pairs(self, document: int, short_seq_prob: float) -> list[Pair]:
        """Return (A, B, label) of one document, truncated to the room."""
        segments = self._documents.segments(document)
        target = target_length(self._room, short_seq_prob, self._random)
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
        segments = self._documents.segments(self._documents.another(document, self._random))
        start = int(self._random.integers(len(segments)))
        end = start + 1
        while end < len(segments) and segments[end - 1][1] - segments[start][0] < target:
            end += 1
        return segments[start][0], segments[end - 1][1]

    def _truncate(self, first: Span, second: Span) -> tuple[Span, Span]:
        """Take tokens from the front or the back of the longer part until both fit."""
        sizes = first[1] - first[0], second[1] - second[0]
        if sum(sizes) <= self._room:
            return first, second
        # Where both are longer than half, they end up equal; an odd token is the first one's.
        kept = min(sizes[0], max(self._room - sizes[1], -(-self._room // 2)))
        return self._cut(first, kept), self._cut(second, self._room - kept)

    def _cut(self, part: Span, kept: int) -> Span:
        surplus = part[1] - part[0] - kept
        front = int(self._random.binomial(surplus, 0.5))
        return part[0] + front, part[1] - surplus + front
