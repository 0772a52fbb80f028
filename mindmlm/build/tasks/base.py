"""What the rest of a run has to know of a task: its data, its Cells and its measures."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from mindspore import nn

from mindmlm.build.model import ModelOnRank
from mindmlm.build.prediction import read_texts
from mindmlm.build_data.corpus import corpus_settings
from mindmlm.config.schema import RunConfig
from mindmlm.conversion.starting_point import ForeignCheckpoint
from mindmlm.data.batches import BatchLayout
from mindmlm.data.prepare import CorpusSettings, prepare_corpus, prepare_evaluation
from mindmlm.models.spans import Span
from mindmlm.parallel.agreement import Agreement
from mindmlm.parallel.micro_batch import ONE_TERM, LossTerm, MicroBatch
from mindmlm.parallel.pipeline import StageForward
from mindmlm.tokenizers.files import AnyTokenizer
from mindmlm.training.evaluation import EvaluationResult, Evaluator


class Samples(Protocol):
    """Samples on disk."""

    @property
    def num_samples(self) -> int:
        """How many."""

    @property
    def fingerprint(self) -> str:
        """Hexadecimal digest of their contents."""


class Report(Protocol):
    """What was read."""

    def summary(self) -> str:
        """In lines for people."""


class Evaluates(Protocol):
    """Judges a model."""

    def run(self) -> EvaluationResult:
        """Go through all samples; all ranks call it and get the same."""


class Corpus(Protocol):
    """Samples for training and for evaluation."""

    @property
    def train(self) -> Any:
        """`Samples` of the task, for training."""

    @property
    def evaluation(self) -> Any:
        """`Samples` of the task, for evaluation."""

    @property
    def fingerprint(self) -> str:
        """Hexadecimal digest of the contents of both."""

    def summary(self) -> str:
        """What was read, for people."""


class TrainingBatches(Protocol):
    """Batches as a function of the step."""

    def global_batch(self, step: int) -> Sequence[Any]:
        """This rank's micro-batches of a step, from 0."""

    def rows_in_global_batch(self, micro: int) -> np.ndarray:
        """Places of the rows of a micro-batch in the global batch, int64 [batch_size]."""


class EvaluationBatches(Protocol):
    """Batches by number."""

    def __len__(self) -> int:
        """How many."""

    def batch(self, number: int) -> Any:
        """One of them, from 0."""


class Task(ABC):
    """A training task.

    Methods that take a tokenizer take the kind that belongs to the task's models.

    Args:
        config: of the run.

    Attributes:
        terms: that its loss is made of, in the order of what `loss` gives.
        frozen: names of parameters that training leaves as they are.
    """

    terms: tuple[LossTerm, ...] = ONE_TERM
    frozen: frozenset[str] = frozenset()

    def __init__(self, config: RunConfig) -> None:
        self.config = config

    def completed(self) -> RunConfig:
        """The configuration of a training run with what the files of its task decide of it.

        Raises:
            ConfigError, CheckpointError, DataError: they do not go with it, or are not good.
        """
        return self.config

    def given_tokenizer(self) -> AnyTokenizer | None:
        """The tokenizer that a training run must have; None leaves the choice to the run."""
        return None

    def first_weights(self, model: ModelOnRank) -> ForeignCheckpoint | None:
        """What training starts from where no checkpoint is named; None = random weights.

        Args:
            model: that will be trained.
        """
        return None

    def identity(self) -> dict[str, Any]:
        """What besides the data must not change between the parts of one run; JSON's types."""
        return {}

    @abstractmethod
    def data(self, spool_dir: Path) -> Any:
        """Which data are read and how they become samples; see `corpus_settings`.

        Raises:
            DataError: they are not there or cannot be reached.
        """

    @abstractmethod
    def prepare(self, data: Any, tokenizer: Any, cache_dir: Path, progress: bool) -> Corpus:
        """Samples for training and for evaluation, from the cache where it has them.

        Raises:
            DataError: no data, or faulty data.
        """

    @abstractmethod
    def prepare_evaluation(
        self, data: Any, tokenizer: Any, cache_dir: Path, progress: bool
    ) -> tuple[Samples, Report]:
        """Samples for evaluation alone, and what was read.

        Raises:
            DataError: no data, or faulty data.
        """

    @abstractmethod
    def part(self, model: nn.Cell, span: Span | None) -> nn.Cell:
        """Some layers of the model: (x, *inputs, *dropout masks) -> activations behind them."""

    @abstractmethod
    def loss(self, model: nn.Cell, span: Span) -> nn.Cell:
        """The last layers and the loss: (x, scale, *inputs, *dropout masks) -> float32 [terms].

        `scale` is float32 [terms]; each sum is multiplied by its own.
        """

    @abstractmethod
    def evaluation(self, model: nn.Cell) -> nn.Cell:
        """The layers and what `evaluator` needs to know: (x, *inputs) -> a tuple."""

    @abstractmethod
    def train_batches(
        self, store: Any, tokenizer: Any, layout: BatchLayout, steps: int
    ) -> TrainingBatches:
        """Batches of a rank, or of all; `steps` is the length of the run."""

    @abstractmethod
    def row_lengths(self) -> list[int]:
        """The lengths that training rows have, ascending."""

    @abstractmethod
    def row_length(self, batch: Any) -> int:
        """The length of the rows of a batch."""

    @abstractmethod
    def micro_batch(self, batch: Any, own: slice, keeps: tuple[np.ndarray, ...]) -> MicroBatch:
        """Some rows of a batch with their dropout masks."""

    @abstractmethod
    def evaluation_batches(self, store: Any, tokenizer: Any, batch_size: int) -> EvaluationBatches:
        """Batches that go through all samples once."""

    @abstractmethod
    def evaluation_arrays(self, batch: Any) -> tuple[np.ndarray, ...]:
        """The inputs of `evaluation`; the first has a row a sample and a column a position."""

    @abstractmethod
    def evaluator(
        self,
        forward: StageForward,
        store: Any,
        tokenizer: Any,
        agreement: Agreement,
        batch_size: int,
    ) -> Evaluates:
        """What judges the model on all samples, divided over the ranks.

        Args:
            forward: `evaluation` on the last stage, `part` on the others.
            store: the samples.
            tokenizer: of the model.
            agreement: with the other ranks.
            batch_size: rows of a batch.
        """

    def inputs(self, predict_data: Any) -> list[Any]:
        """The single inputs that `predict_data` stands for, as `predictor` takes them.

        Raises:
            ConfigError, DataError: it holds none, or they are not what the task answers.
        """
        return read_texts(predict_data)

    @abstractmethod
    def predictor(
        self, model: ModelOnRank, tokenizer: Any, agreement: Agreement
    ) -> Callable[[Sequence[Any]], list[Any]]:
        """What answers inputs of users, on all ranks alike."""


class LanguageModelTask(Task):
    """A task on text, judged by sums over the tokens that are predicted.

    Its `evaluation` returns sums: loss, correct predictions, positions, and maybe more.

    Attributes:
        number_of_sums: how many.
    """

    number_of_sums = 3

    def data(self, spool_dir: Path) -> CorpusSettings:
        """See `Task`."""
        return corpus_settings(self.config, spool_dir)

    def prepare(
        self, data: CorpusSettings, tokenizer: Any, cache_dir: Path, progress: bool
    ) -> Corpus:
        """See `Task`."""
        return prepare_corpus(data, tokenizer, cache_dir, progress)

    def prepare_evaluation(
        self, data: CorpusSettings, tokenizer: Any, cache_dir: Path, progress: bool
    ) -> tuple[Samples, Report]:
        """See `Task`."""
        return prepare_evaluation(data, tokenizer, cache_dir, progress)

    def evaluator(
        self,
        forward: StageForward,
        store: Any,
        tokenizer: Any,
        agreement: Agreement,
        batch_size: int,
    ) -> Evaluates:
        """See `Task`."""
        batches, place = self.evaluation_batches(store, tokenizer, batch_size), agreement.place
        own = range(place.at.data, len(batches), place.layout.data_parallel)
        return Evaluator(
            forward,
            lambda: (self.evaluation_arrays(batches.batch(number)) for number in own),
            agreement,
            lambda sums: self.measures(store, sums),
            self.number_of_sums,
        )

    @abstractmethod
    def measures(self, store: Any, sums: Sequence[float]) -> EvaluationResult:
        """What the sums of `evaluation` over all samples say."""
