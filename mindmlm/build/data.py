"""Training and evaluation data of one rank."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mindmlm.build.families import family_of
from mindmlm.build.model import ModelOnRank
from mindmlm.build.place import layout_of
from mindmlm.build.tasks import task_of
from mindmlm.build.tasks.base import Samples
from mindmlm.config.schema import RunConfig
from mindmlm.data.batches import BatchLayout
from mindmlm.models.dropout import DropoutSite, keep_masks
from mindmlm.parallel.layout import cut
from mindmlm.parallel.micro_batch import MicroBatch
from mindmlm.parallel.place import Place


def corpus_settings(config: RunConfig, spool_dir: Path) -> Any:
    """Which data are read; standard input is copied into `spool_dir`, so call it once.

    Returns:
        What `Task.prepare` of the configuration's task takes.

    Raises:
        DataError: the data are not there or cannot be reached.
    """
    return task_of(config).data(spool_dir)


def batch_layout(config: RunConfig, place: Place | None = None) -> BatchLayout:
    """How a global batch is divided into micro-batches, and which of them are this rank's.

    Without a place: how it is divided over the ranks of the configuration, seen from the first.
    """
    runner = config.runner_config
    layout = place.layout if place else layout_of(config)
    rank = place.at.data if place else 0
    return BatchLayout(runner.batch_size, config.micro_batches, layout.data_parallel, rank)


def total_steps(config: RunConfig, num_samples: int) -> int:
    """Optimizer steps of the run: `max_steps`, or enough to see every sample `epochs` times."""
    runner = config.runner_config
    if runner.max_steps is not None:
        return runner.max_steps
    return math.ceil(runner.epochs * num_samples / batch_layout(config).global_batch_size)


def build_batches(
    config: RunConfig, store: Samples, tokenizer: Any, model: ModelOnRank
) -> Callable[[int], list[MicroBatch]]:
    """A function of the step: this rank's micro-batches with their dropout masks."""
    layout = batch_layout(config, model.place)
    # With full_batch every rank makes the rows of all and takes its own out of them.
    full = config.parallel.full_batch
    made = (
        BatchLayout(layout.batch_size * layout.data_parallel, layout.micro_batches)
        if full
        else layout
    )
    first = layout.batch_size * layout.data_parallel_rank if full else 0
    own = slice(first, first + layout.batch_size)
    task = task_of(config)
    batches = task.train_batches(store, tokenizer, made, total_steps(config, store.num_samples))
    sites = {length: _dropout_sites(config, length, model) for length in task.row_lengths()}

    def micro_batches(step: int) -> list[MicroBatch]:
        return [
            task.micro_batch(
                batch,
                own,
                keep_masks(
                    sites[task.row_length(batch)],
                    config.seed,
                    step,
                    batches.rows_in_global_batch(micro)[own],
                ),
            )
            for micro, batch in enumerate(batches.global_batch(step))
        ]

    return micro_batches


def _dropout_sites(config: RunConfig, length: int, model: ModelOnRank) -> list[DropoutSite]:
    group, settings = model.place.model, config.model.settings
    heads = cut(settings.num_attention_heads, group.size, group.index)
    return family_of(config).dropout_sites(settings, length, model.span, range(*heads))
