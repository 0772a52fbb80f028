"""Continuing texts with a trained model, on one process or several."""

import json
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

from tqdm import tqdm

from mindmlm.build.model import ModelOnRank
from mindmlm.config.checks.generation import generation_notes
from mindmlm.config.schema import RunConfig
from mindmlm.errors import MindmlmError
from mindmlm.inference.divided_decoder import DividedDecoder
from mindmlm.inference.generation.generator import OnStep, TextGenerator, check_settings
from mindmlm.inference.generation.streaming import OnText, TerminalStream
from mindmlm.models.gpt2.heads import GPT2LMHeadModel
from mindmlm.parallel.agreement import Agreement
from mindmlm.tokenizers.gpt2 import GPT2Tokenizer

logger = logging.getLogger(__name__)


class RankGenerator:
    """Continues prompts together with the other processes of the model.

    Args:
        config: of the run.
        model: what this process has of it.
        tokenizer: of its vocabulary.
        agreement: with the other processes; None where there are none.

    Raises:
        ConfigError: settings contradict each other, or an end token is not in the vocabulary.
    """

    def __init__(
        self,
        config: RunConfig,
        model: ModelOnRank,
        tokenizer: GPT2Tokenizer,
        agreement: Agreement | None = None,
    ) -> None:
        check_settings(config.generation, tokenizer)
        self._config = config
        self._model = model
        self._tokenizer = tokenizer
        self._agreement = agreement or Agreement(model.place)

    def __call__(self, prompts: Sequence[str]) -> list[dict[str, Any]]:
        """Return what `TextGenerator` does, on every rank.

        Raises:
            DataError: a prompt is no text, or too long for the model.
        """
        results: list[dict[str, Any]] = []
        error: MindmlmError | None = None
        with self._decoder() as decoder:
            if self._model.place.is_main:
                try:
                    results = self._write(decoder, prompts)
                except MindmlmError as caught:
                    error = caught
            else:
                decoder.follow()
        self._agreement.raise_together(error)
        return cast(list, json.loads(self._agreement.from_main(json.dumps(results))))

    def _decoder(self) -> DividedDecoder:
        model = self._model
        hidden = self._config.model.settings.hidden_size
        cell = cast(GPT2LMHeadModel, model.cell)
        return DividedDecoder(cell, model.place, hidden, model.vocab_size)

    def _write(self, decoder: DividedDecoder, prompts: Sequence[str]) -> list[dict[str, Any]]:
        config, settings = self._config, self._config.generation
        for note in generation_notes(settings):
            logger.warning(note)
        generator = TextGenerator(
            decoder,
            self._tokenizer,
            settings,
            config.model.settings.max_position_embeddings,
            config.runner_config.batch_size,
        )
        if settings.stream:
            return generator(prompts, on_text=self._terminal(prompts))
        with _progress_bar() as on_step:
            return generator(prompts, on_step=on_step)

    def _terminal(self, prompts: Sequence[str]) -> OnText:
        each = self._config.generation.num_return_sequences
        return TerminalStream(sys.stderr, [prompt for prompt in prompts for _ in range(each)])


@contextmanager
def _progress_bar() -> Iterator[OnStep | None]:
    """A bar over tokens where standard error is a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    with tqdm(unit="token", dynamic_ncols=True) as bar:

        def on_step(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield on_step


def build_generator(
    config: RunConfig,
    model: ModelOnRank,
    tokenizer: GPT2Tokenizer,
    agreement: Agreement | None = None,
) -> RankGenerator:
    """What continues prompts as the section `generation` says; see `RankGenerator`."""
    return RankGenerator(config, model, tokenizer, agreement)
