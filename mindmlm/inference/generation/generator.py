"""Writing texts on: from prompts to results."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mindmlm.config.checks.generation import generation_problems
from mindmlm.config.schema.generation import GenerationConfig
from mindmlm.errors import ConfigError
from mindmlm.inference.generation.beams import search_beams
from mindmlm.inference.generation.decoder import Decoder, PaddedPrompts
from mindmlm.inference.generation.prompts import encode_prompts, padded_batches
from mindmlm.inference.generation.sampling import write_on
from mindmlm.inference.generation.stopping import Endings
from mindmlm.inference.generation.streaming import OnText, TextStreams
from mindmlm.tokenizers.gpt2 import GPT2Tokenizer

OnStep = Callable[[int, int], None]


class TextGenerator:
    """Continues prompts with a decoder.

    Args:
        decoder: of the model.
        tokenizer: of the model's vocabulary.
        settings: how to go on.
        positions: longest text the model can read, in tokens.
        batch_size: prompts of one batch; the results do not depend on it.

    Raises:
        ConfigError: settings contradict each other, or an end token is not in the vocabulary.
    """

    def __init__(
        self,
        decoder: Decoder,
        tokenizer: GPT2Tokenizer,
        settings: GenerationConfig,
        positions: int,
        batch_size: int = 8,
    ) -> None:
        check_settings(settings, tokenizer)
        self._decoder = decoder
        self._tokenizer = tokenizer
        self._settings = settings
        self._positions = positions
        self._batch_size = batch_size
        self._endings = Endings(end_ids(settings, tokenizer), settings.stop, tokenizer.decode)

    def __call__(
        self,
        texts: Sequence[str],
        on_text: OnText | None = None,
        on_step: OnStep | None = None,
    ) -> list[dict[str, Any]]:
        """Return `{"prompt", "text", "token_ids"}`, `num_return_sequences` for each prompt.

        `text` is what comes after the prompt, up to the end token or the first stop string;
        `token_ids` are all new tokens, with those that ended it.

        Args:
            texts: the prompts; an empty one begins a new document.
            on_text: called with the number of a result, a piece of its text and whether it was the
                last one, as soon as the piece is certain. Not with beams.
            on_step: called after each token of a batch with the number of steps that are done and
                of all there may be; a batch that ends early is done with all of its own.

        Raises:
            DataError: a prompt is no text, or too long for the model.
        """
        settings = self._settings
        new_tokens = settings.max_new_tokens
        prompts = encode_prompts(texts, self._tokenizer, new_tokens, self._positions)
        sequences = max(settings.num_beams, settings.num_return_sequences)
        batches = padded_batches(prompts, self._batch_size, sequences, new_tokens)
        watched = _Watched(self._decoder, self._tokenizer.vocab_size, on_step)
        watched.total = new_tokens * len(batches)
        results: list[dict[str, Any]] = []
        for count, (numbers, batch) in enumerate(batches, start=1):
            for place, tokens in enumerate(self._write(watched, batch, numbers, on_text)):
                prompt = texts[numbers.start + place // settings.num_return_sequences]
                results.append(self._result(prompt, tokens))
            watched.jump(count * new_tokens)
        return results

    def _write(
        self, decoder: Decoder, batch: PaddedPrompts, numbers: range, on_text: OnText | None
    ) -> list[list[int]]:
        """New tokens of the results of a batch."""
        settings, endings = self._settings, self._endings
        if settings.num_beams > 1:
            return search_beams(decoder, batch, len(numbers), settings, endings)
        each = settings.num_return_sequences
        results = range(numbers.start * each, numbers.stop * each)
        show = TextStreams(endings, self._tokenizer, on_text)
        return write_on(decoder, batch, results, settings, endings, show)

    def _result(self, prompt: str, tokens: list[int]) -> dict[str, Any]:
        return {"prompt": prompt, "text": self._endings.text(tokens), "token_ids": tokens}


class _Watched:
    """A decoder that counts its steps and hides the rows that the model has beyond the tokens.

    Args:
        decoder: what does the work.
        vocab_size: tokens that exist.
        on_step: see `TextGenerator`.
    """

    def __init__(self, decoder: Decoder, vocab_size: int, on_step: OnStep | None) -> None:
        self._decoder = decoder
        self._vocab_size = vocab_size
        self._on_step = on_step
        self._done = 0
        self.total = 0
        self.reorder = decoder.reorder

    def prefill(self, prompts: PaddedPrompts) -> np.ndarray:
        return self._known(self._decoder.prefill(prompts))

    def step(self, tokens: np.ndarray) -> np.ndarray:
        return self._known(self._decoder.step(tokens))

    def jump(self, done: int) -> None:
        """Say that `done` steps are done."""
        self._done = done
        if self._on_step is not None:
            self._on_step(done, self.total)

    def _known(self, logits: np.ndarray) -> np.ndarray:
        self.jump(self._done + 1)
        return logits[:, : self._vocab_size]


def end_ids(settings: GenerationConfig, tokenizer: GPT2Tokenizer) -> list[int]:
    """The tokens that end a text."""
    return [tokenizer.end_id] if settings.eos_token_id is None else settings.eos_token_id


def check_settings(settings: GenerationConfig, tokenizer: GPT2Tokenizer) -> None:
    """Check settings against each other and the vocabulary.

    Raises:
        ConfigError: they contradict each other, or an end token is not in the vocabulary.
    """
    lines = [f"generation.{path}: {message}" for path, message in generation_problems(settings)]
    lines += [
        f"generation.eos_token_id: {token} is not in the vocabulary of {tokenizer.vocab_size} "
        "tokens; use null for its <|endoftext|>"
        for token in end_ids(settings, tokenizer)
        if token >= tokenizer.vocab_size
    ]
    if lines:
        raise ConfigError("\n".join(lines))
