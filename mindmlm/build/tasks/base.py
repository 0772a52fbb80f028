"""What the rest of a run has to know of a task: its data, its Cells and its measures."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from mindspore import nn

from mindmlm.build.model import ModelOnRank
from mindmlm.config.schema import RunConfig
from mindmlm.data.batches import BatchLayout
from mindmlm.data.prepare import CorpusSettings, prepare_corpus, prepare_evaluation
from mindmlm.data.report import ReadReport
from mindmlm.models.spans import Span
from mindmlm.parallel.agreement import Agreement
from mindmlm.parallel.micro_batch import MicroBatch
from mindmlm.training.evaluation import EvaluationResult


class Samples(Protocol):
    """Samples on disk."""

    @property
    def num_samples(self) -> int:
        """How many."""

    @property
    def fingerprint(self) -> str:
        """Hexadecimal digest of their contents."""


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
    """

    def __init__(self, config: RunConfig) -> None:
        self.config = config

    def prepare(
        self, text: CorpusSettings, tokenizer: Any, cache_dir: Path, progress: bool
    ) -> Corpus:
        """Samples of the training and the evaluation text, from the cache where it has them.

        Raises:
            DataError: no text, or faulty text.
        """
        return prepare_corpus(text, tokenizer, cache_dir, progress)

    def prepare_evaluation(
        self, text: CorpusSettings, tokenizer: Any, cache_dir: Path, progress: bool
    ) -> tuple[Samples, ReadReport]:
        """Samples of the evaluation text alone, and what was read.

        Raises:
            DataError: no text, or faulty text.
        """
        return prepare_evaluation(text, tokenizer, cache_dir, progress)

    @abstractmethod
    def part(self, model: nn.Cell, span: Span | None) -> nn.Cell:
        """Some layers of the model: (x, *inputs, *dropout masks) -> activations behind them."""

    @abstractmethod
    def loss(self, model: nn.Cell, span: Span) -> nn.Cell:
        """The last layers and the loss: (x, scale, *inputs, *dropout masks) -> a scalar."""

    @abstractmethod
    def evaluation(self, model: nn.Cell) -> nn.Cell:
        """The layers and three sums: (x, *inputs) -> loss, correct predictions, positions."""

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
    def measures(self, store: Any, sums: Sequence[float]) -> EvaluationResult:
        """What the sums of `evaluation` over all samples say."""

    @abstractmethod
    def predictor(
        self, model: ModelOnRank, tokenizer: Any, agreement: Agreement
    ) -> Callable[[Sequence[str]], list[dict[str, Any]]]:
        """What answers texts of users, on all ranks alike."""
