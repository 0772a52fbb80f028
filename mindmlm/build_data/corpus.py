"""From a configuration to the text of a run and how it becomes samples; no MindSpore in here."""

from pathlib import Path

from mindmlm.build_data.masking import segmenter, segmenter_options
from mindmlm.build_data.records import record_settings
from mindmlm.build_data.rows import isolates_documents
from mindmlm.build_data.sources import corpus_sources
from mindmlm.config.schema import RunConfig
from mindmlm.data.prepare import CorpusSettings
from mindmlm.data.sample_making import SampleSettings


def corpus_settings(config: RunConfig, spool_dir: Path) -> CorpusSettings:
    """Return which text becomes which samples.

    Standard input is read into `spool_dir`, so call this once.

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
            sentence_pairs=train.sentence_pairs,
            short_seq_prob=train.short_seq_prob,
        ),
        records=record_settings(config),
    )
