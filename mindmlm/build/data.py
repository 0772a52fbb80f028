"""Training and evaluation data of one rank."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mindmlm.build.model import ModelOnRank
from mindmlm.build.place import layout_of
from mindmlm.build_data.masking import masking_settings, segmenter, segmenter_options
from mindmlm.build_data.records import reads_records, record_settings
from mindmlm.build_data.sources import corpus_sources
from mindmlm.config.schema import RunConfig
from mindmlm.data.batches import BatchLayout, TrainBatches
from mindmlm.data.bucketing import BucketedBatches
from mindmlm.data.corpus_job import SampleSettings
from mindmlm.data.masking import MaskedBatch, VocabularyInfo
from mindmlm.data.prepare import CorpusSettings
from mindmlm.data.prepare_records import SampleStore
from mindmlm.data.row_store import RowStore
from mindmlm.data.sampler import GlobalOrder
from mindmlm.data.static_batches import StaticBatches
from mindmlm.errors import ConfigError
from mindmlm.models.bert.dropout_sites import dropout_sites
from mindmlm.models.dropout import DropoutSite, keep_masks
from mindmlm.parallel.layout import cut
from mindmlm.parallel.micro_batch import MicroBatch
from mindmlm.parallel.place import Place
from mindmlm.tasks.mlm import batch_arrays
from mindmlm.tokenizers.bert import BertTokenizer


def corpus_settings(config: RunConfig, spool_dir: Path) -> CorpusSettings:
    """Which text becomes which samples; standard input is read into `spool_dir`, so call it once.

    Raises:
        DataError: the text is not there or cannot be reached.
    """
    sources = corpus_sources(config, spool_dir)
    train, loader = config.train_dataset, config.train_dataset.data_loader
    return CorpusSettings(
        train=sources.train,
        evaluation=sources.evaluation,
        num_samples=loader.num_samples,
        eval_num_samples=config.eval_dataset.data_loader.num_samples,
        holdout_fraction=config.eval_dataset.holdout_fraction,
        samples=SampleSettings(
            sample_mode=train.sample_mode,
            max_seq_length=train.max_seq_length,
            segmenter=segmenter(config),
            segmenter_options=segmenter_options(config),
            reference_file=config.processor.reference_file,
            workers=train.num_parallel_workers,
            isolate_documents=isolates_documents(config),
        ),
        records=record_settings(config),
    )


def isolates_documents(config: RunConfig) -> bool:
    """Whether rows hold several documents that must not see each other."""
    train = config.train_dataset
    packs = train.sample_mode == "packed" and not reads_records(config)
    return packs and not train.attend_across_documents


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
    config: RunConfig, store: SampleStore, tokenizer: BertTokenizer, model: ModelOnRank
) -> Callable[[int], list[MicroBatch]]:
    """A function of the step: this rank's micro-batches, masked, with their dropout masks."""
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
    batches = _sample_batches(config, store, tokenizer, made)
    sites = {length: _dropout_sites(config, length, model) for length in row_lengths(config)}

    def micro_batches(step: int) -> list[MicroBatch]:
        return [
            _micro_batch(
                batch,
                own,
                keep_masks(
                    sites[batch.input_ids.shape[1]],
                    config.seed,
                    step,
                    batches.rows_in_global_batch(micro)[own],
                ),
            )
            for micro, batch in enumerate(batches.global_batch(step))
        ]

    return micro_batches


def _micro_batch(batch: MaskedBatch, own: slice, keeps: tuple[np.ndarray, ...]) -> MicroBatch:
    return MicroBatch(
        inputs=tuple(array[own] for array in batch_arrays(batch)),
        keeps=keeps,
        weight=float(batch.masked_lm_weights[own].sum()),
        tokens=int(batch.input_mask[own].sum()),
        rows=batch.input_ids[own].size,
    )


def _dropout_sites(config: RunConfig, length: int, model: ModelOnRank) -> list[DropoutSite]:
    group = model.place.model
    heads = cut(config.model.settings.num_attention_heads, group.size, group.index)
    return dropout_sites(config.model.settings, length, model.span, range(*heads))


def _sample_batches(
    config: RunConfig, store: SampleStore, tokenizer: BertTokenizer, layout: BatchLayout
) -> TrainBatches | StaticBatches:
    section = config.train_dataset
    seed = config.seed if section.seed is None else section.seed
    shuffle = section.data_loader.shuffle
    order = GlobalOrder(store.num_samples, seed, shuffle)
    if isinstance(store, RowStore):
        if section.bucket_lengths:
            raise ConfigError(
                "train_dataset.bucket_lengths: rows that were masked when they were built have "
                "one length; build them with --dynamic, or remove bucket_lengths"
            )
        return StaticBatches(store, order, layout)
    masking = masking_settings(config, tokenizer, store, total_steps(config, store.num_samples))
    vocabulary = VocabularyInfo.from_tokenizer(tokenizer)
    if section.bucket_lengths:
        return BucketedBatches(
            store, masking, vocabulary, layout, row_lengths(config), seed, shuffle
        )
    return TrainBatches(store, order, masking, vocabulary, layout, section.max_seq_length, seed)


def row_lengths(config: RunConfig) -> list[int]:
    """The lengths that training rows have, ascending."""
    section = config.train_dataset
    return [*section.bucket_lengths, section.max_seq_length]
