"""Writing on, one token at a time: the likeliest one, or one drawn by its probability."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from mindmlm.config.schema.generation import GenerationConfig
from mindmlm.inference.generation.decoder import Decoder, PaddedPrompts
from mindmlm.inference.generation.drawing import draw, uniform
from mindmlm.inference.generation.filters import for_sampling, penalise_repetition
from mindmlm.inference.generation.stopping import Endings

OnToken = Callable[[int, int, bool], None]


@dataclass
class _Sequence:
    """A text that is being written.

    Args:
        number: in the whole call; the draws depend on it.
        prompt: ids int32 [n].
        tokens: the new ones.
    """

    number: int
    prompt: np.ndarray
    tokens: list[int] = field(default_factory=list)

    def choose(self, logits: np.ndarray, settings: GenerationConfig) -> int:
        """The next token by its logits [vocab]."""
        seen = np.append(self.prompt, self.tokens).astype(np.int64)
        logits = penalise_repetition(logits[None], [seen], settings.repetition_penalty)
        if not settings.do_sample:
            return int(logits[0].argmax())
        at = uniform(settings.seed, self.number, len(self.tokens))
        return draw(for_sampling(logits, settings)[0], at)


def write_on(
    decoder: Decoder,
    prompts: PaddedPrompts,
    numbers: Sequence[int],
    settings: GenerationConfig,
    endings: Endings,
    on_token: OnToken,
) -> list[list[int]]:
    """Continue the sequences of a batch until each one has ended.

    Args:
        decoder: of the model.
        prompts: of the batch.
        numbers: of the sequences in the whole call; rows of the batch behind them only fill it up.
        settings: greedy or sampling.
        endings: what ends a sequence.
        on_token: called with the number of a sequence, its new token and whether that was the last
            one, when it is chosen.

    Returns:
        New tokens of each sequence, an end token included.
    """
    sequences = [
        _Sequence(number, prompts.ids[row][prompts.mask[row] == 1])
        for number, row in zip(numbers, prompts.rows, strict=False)
    ]
    running = list(range(len(sequences)))
    logits = decoder.prefill(prompts)
    while True:
        # Sequences that have ended go on with token 0, which nobody looks at: shapes are static.
        newest = np.zeros(len(prompts.rows), np.int32)
        still_running = []
        for row in running:
            sequence = sequences[row]
            newest[row] = sequence.choose(logits[row], settings)
            sequence.tokens.append(int(newest[row]))
            full = len(sequence.tokens) == prompts.max_new_tokens
            over = full or endings.reached(sequence.tokens)
            on_token(sequence.number, sequence.tokens[-1], over)
            if not over:
                still_running.append(row)
        running = still_running
        if not running:
            return [sequence.tokens for sequence in sequences]
        logits = decoder.step(newest)
