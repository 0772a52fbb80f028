"""The batches of a run, to look at or to use elsewhere."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from mindmlm import build
from mindmlm.config import LoadedConfig
from mindmlm.errors import ConfigError
from mindmlm.jobs.session import Session, open_session
from mindmlm.jobs.start import AnyCheckpoint, load_checkpoint
from mindmlm.jobs.training import prepared_data, shared_tokenizer


@dataclass(frozen=True)
class Batches:
    """Batches in their order; every loop over them begins with the first.

    Attributes:
        number: how many there are.
        make: (number of a batch, from 0) -> its arrays by name.
    """

    number: int
    make: Callable[[int], dict[str, np.ndarray]]

    def __len__(self) -> int:
        return self.number

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        return (self.make(number) for number in range(self.number))


def training_batches(loaded: LoadedConfig) -> Batches:
    """The micro-batches that training takes on this rank, from its first step to its last.

    The text is prepared as for training, into the same cache.

    Raises:
        ConfigError, DataError, CheckpointError: as `train`.
    """
    with open_session(loaded) as opened:
        session, start = _start(opened)
        tokenizer, corpus = prepared_data(session, start)
    config = session.config
    layout = build.batch_layout(config, session.place)
    steps = build.total_steps(config, corpus.train.num_samples)
    batches = build.task_of(config).train_batches(corpus.train, tokenizer, layout, steps)

    def make(number: int) -> dict[str, np.ndarray]:
        step, micro = divmod(number, layout.micro_batches)
        return _arrays(batches.global_batch(step)[micro])

    return Batches(steps * layout.micro_batches, make)


def evaluation_batches(loaded: LoadedConfig) -> Batches:
    """The batches that evaluation takes, those of all ranks.

    The vocabulary is that of the checkpoint, the one that is named, or the one of training.

    Raises:
        ConfigError, DataError, CheckpointError: as `evaluate`.
    """
    with open_session(loaded) as opened:
        session, start = _start(opened)
        config, cache = session.config, session.folder.dataset_cache
        task = build.task_of(config)
        with session.main_first():
            text = build.corpus_settings(config, cache)
            if not (start or config.processor.tokenizer.vocab_file or text.train):
                raise ConfigError(
                    "processor.tokenizer.vocab_file: evaluation text alone makes no vocabulary; "
                    "name one, or a checkpoint"
                )
            tokenizer = shared_tokenizer(session, start, text)
            store, _ = task.prepare_evaluation(text, tokenizer, cache, session.place.is_main)
    batch_size = config.eval_dataset.batch_size or config.runner_config.batch_size
    batches = task.evaluation_batches(store, tokenizer, batch_size)
    return Batches(len(batches), lambda number: _arrays(batches.batch(number)))


def _start(session: Session) -> tuple[Session, AnyCheckpoint | None]:
    """What training would start from; the output folder may hold anything."""
    return load_checkpoint(session) if session.config.load_checkpoint else (session, None)


def _arrays(batch: Any) -> dict[str, np.ndarray]:
    return {name: value for name, value in vars(batch).items() if isinstance(value, np.ndarray)}
