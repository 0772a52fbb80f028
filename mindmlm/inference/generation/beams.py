"""Beam search, token for token as Hugging Face's `GenerationMixin._beam_search` (4.57).

Scores are sums of log-probabilities in float32, because a tie must break as there.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from mindmlm.config.schema.generation import GenerationConfig
from mindmlm.inference.generation.decoder import Decoder, PaddedPrompts
from mindmlm.inference.generation.filters import log_softmax, penalise_repetition
from mindmlm.inference.generation.stopping import Endings

_NEVER = np.float32(-1.0e9)


@dataclass
class _Finished:
    """A text that has ended, or, at first, the place for one."""

    score: float = float(_NEVER)
    tokens: list[int] = field(default_factory=list)
    ended: bool = False


@dataclass(frozen=True)
class _Candidate:
    """A beam with one more token."""

    score: np.float32
    beam: int
    tokens: list[int]
    ends: bool


class _Search:
    """The beams of one prompt.

    Attributes:
        tokens: new tokens of each beam.
        parents: which beam each one goes on from, after `advance`.
    """

    def __init__(
        self, prompt: np.ndarray, settings: GenerationConfig, endings: Endings, longest: int
    ) -> None:
        self._prompt = prompt
        self._settings = settings
        self._endings = endings
        self._longest = longest
        beams = settings.num_beams
        # Only the first beam counts at the beginning: the others are the same text.
        self._scores = np.full(beams, _NEVER, np.float32)
        self._scores[0] = 0.0
        self.tokens: list[list[int]] = [[] for _ in range(beams)]
        self.parents = np.arange(beams)
        self._finished = [_Finished() for _ in range(beams)]
        self._can_improve = True
        self._stuck = False

    @property
    def over(self) -> bool:
        """Whether no beam can change what is returned."""
        full = self._settings.early_stopping is True and self._is_full
        return full or self._stuck or not self._can_improve

    @property
    def _is_full(self) -> bool:
        return all(text.ended for text in self._finished)

    def best(self, count: int) -> list[list[int]]:
        """The `count` best texts, best first."""
        return [text.tokens for text in self._finished[:count]]

    def advance(self, logits: np.ndarray) -> None:
        """Let the beams grow by one token: logits float32 [beams, vocab]."""
        candidates = self._candidates(logits)
        self._finish(candidates)
        # Those that have ended stand behind all others; the order is kept otherwise.
        going_on = sorted(candidates, key=lambda candidate: candidate.ends)[: len(self._scores)]
        self._stuck = all(candidate.ends for candidate in candidates)
        # One that has ended goes on only where too few others are left, and never wins.
        penalties = [_NEVER if candidate.ends else np.float32(0) for candidate in going_on]
        self._scores = np.array([candidate.score for candidate in going_on], np.float32)
        self._scores += np.array(penalties, np.float32)
        self.tokens = [candidate.tokens for candidate in going_on]
        self.parents = np.array([candidate.beam for candidate in going_on])
        self._can_improve = self._can_improve and self._better_may_come()

    def _candidates(self, logits: np.ndarray) -> list[_Candidate]:
        """The best continuations of all beams, so many that enough of them have not ended."""
        beams, vocab = logits.shape
        seen = [np.append(self._prompt, tokens).astype(np.int64) for tokens in self.tokens]
        scores = penalise_repetition(log_softmax(logits), seen, self._settings.repetition_penalty)
        flat = (scores + self._scores[:, None]).reshape(-1)
        count = max(2, 1 + len(self._endings.end_ids)) * beams
        return [
            self._candidate(flat[place], int(place) // vocab, int(place) % vocab)
            for place in _largest(flat, count)
        ]

    def _candidate(self, score: np.float32, beam: int, token: int) -> _Candidate:
        tokens = [*self.tokens[beam], token]
        ends = len(tokens) == self._longest or self._endings.reached(tokens)
        return _Candidate(score, beam, tokens, ends)

    def _finish(self, candidates: Sequence[_Candidate]) -> None:
        """Put texts that have ended among the best, if they are good enough."""
        closed = self._settings.early_stopping is True and self._is_full
        if closed or not self._can_improve:
            return
        beams = len(self._scores)
        new = [
            _Finished(
                self._by_length(candidate.score, len(candidate.tokens)), candidate.tokens, True
            )
            for candidate in candidates[:beams]
            if candidate.ends
        ]
        merged = sorted([*self._finished, *new], key=lambda text: -text.score)
        self._finished = merged[:beams]

    def _better_may_come(self) -> bool:
        length = len(self.tokens[0])
        if self._settings.early_stopping == "never" and self._settings.length_penalty > 0.0:
            length = self._longest
        best = self._by_length(self._scores[0], length)
        worst = min(text.score for text in self._finished)
        return any(best > (worst if text.ended else _NEVER) for text in self._finished)

    def _by_length(self, score: np.float32, length: int) -> float:
        return float(np.float32(score) / np.float32(length**self._settings.length_penalty))


def search_beams(
    decoder: Decoder,
    prompts: PaddedPrompts,
    count: int,
    settings: GenerationConfig,
    endings: Endings,
) -> list[list[int]]:
    """Return the new tokens of the best texts: `num_return_sequences` a prompt, best first.

    Args:
        decoder: of the model.
        prompts: of the batch, `num_beams` sequences a prompt, one after the other.
        count: of prompts; those behind them only fill the batch up.
        settings: of the search.
        endings: what ends a text.
    """
    beams = settings.num_beams
    searches = [
        _Search(ids[mask == 1], settings, endings, prompts.max_new_tokens)
        for ids, mask in zip(prompts.ids[:count], prompts.mask[:count], strict=True)
    ]
    logits = decoder.prefill(prompts)
    while True:
        order = np.arange(len(prompts.rows), dtype=np.int32)
        newest = np.zeros(len(prompts.rows), np.int32)
        for number, search in enumerate(searches):
            if search.over:
                continue
            rows = slice(number * beams, (number + 1) * beams)
            search.advance(logits[rows])
            order[rows] = rows.start + search.parents
            newest[rows] = [tokens[-1] for tokens in search.tokens]
        if all(search.over for search in searches):
            best = settings.num_return_sequences
            return [text for search in searches for text in search.best(best)]
        if (order != np.arange(len(order))).any():
            decoder.reorder(order)
        logits = decoder.step(newest)


def _largest(values: np.ndarray, count: int) -> np.ndarray:
    """Places of the `count` largest values, largest first."""
    count = min(count, len(values))
    places = np.argpartition(values, len(values) - count)[len(values) - count :]
    return places[np.argsort(-values[places], kind="stable")]
