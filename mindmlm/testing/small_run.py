"""A training run small enough to look into: its parts in this process, without its files."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from mindmlm import build
from mindmlm.config.schema import RunConfig
from mindmlm.parallel.agreement import Agreement
from mindmlm.parallel.micro_batch import MicroBatch
from mindmlm.parallel.place import Place
from mindmlm.tokenizers.files import AnyTokenizer, load_tokenizer
from mindmlm.training.phases import PhaseTimer
from mindmlm.training.semi_auto_step import SemiAutoTrainStep
from mindmlm.training.state import TrainState
from mindmlm.training.train_step import StepResult, TrainStep


@dataclass
class SmallRun:
    """The parts of a run, put together as the trainer does it.

    `steps` is the number of steps the schedule is made for.
    """

    config: RunConfig
    tokenizer: AnyTokenizer
    corpus: build.Corpus
    model: build.ModelOnRank
    updater: Any
    state: TrainState
    steps: int

    @classmethod
    def create(cls, config: RunConfig, cache_dir: Path, place: Place | None = None) -> "SmallRun":
        """Prepare the text and build the model; `processor.tokenizer.vocab_file` must be set.

        Args:
            config: of the run.
            cache_dir: for prepared text.
            place: of this process, alone by default; the groups of its layout must be there.

        Raises:
            ConfigError, DataError: as in a run.
        """
        config = build.task_of(config).completed()
        tokenizer = load_tokenizer(config.processor.tokenizer)
        text = build.corpus_settings(config, cache_dir)
        corpus = build.task_of(config).prepare(text, tokenizer, cache_dir, progress=False)
        engine = build.engine_of(config)
        model = engine.build_model(config, tokenizer, place or Place.alone())
        build.load_first_weights(model, config)
        updater = engine.build_updater(config, model)
        state = TrainState(loss_scale=build.build_loss_scale(config))
        steps = build.total_steps(config, corpus.train.num_samples)
        return cls(config, tokenizer, corpus, model, updater, state, steps)

    def micro_batches(self, step: int) -> list[MicroBatch]:
        """The micro-batches of global step `step`, from 0."""
        build_batches = build.engine_of(self.config).build_batches
        make = build_batches(self.config, self.corpus.train, self.tokenizer, self.model)
        batches: list[MicroBatch] = make(step)
        return batches

    def train(self, steps: int) -> list[StepResult]:
        """Do the next `steps` steps and return what each did."""
        return [self.step(self.micro_batches(self.state.step)) for _ in range(steps)]

    def step(self, micro_batches: Sequence[MicroBatch]) -> StepResult:
        """Do one step with these micro-batches."""
        result = self.train_step.run(micro_batches, self.state)
        self.state.loss_scale.update(result.overflow)
        self.state.step += 1
        return result

    @cached_property
    def train_step(self) -> TrainStep | SemiAutoTrainStep:
        """What does a step."""
        step: TrainStep | SemiAutoTrainStep = build.engine_of(self.config).build_train_step(
            self.config, self.updater, Agreement(self.model.place), self.steps, PhaseTimer()
        )
        return step

    def weights(self) -> dict[str, np.ndarray]:
        """A copy of every parameter by name."""
        return {
            value.name: np.array(value.asnumpy(), copy=True) for value in self.model.parameters()
        }


def losses(results: Sequence[StepResult]) -> list[float]:
    """The losses of a list of steps."""
    return [result.loss for result in results]
