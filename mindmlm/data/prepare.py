"""From text to cached stores of samples for training and evaluation."""

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path

from mindmlm.data.corpus_job import CorpusJob
from mindmlm.data.prepare_records import RecordJob, SampleStore
from mindmlm.data.records.files import RecordFile
from mindmlm.data.report import ReadReport
from mindmlm.data.sample_making import SampleSettings
from mindmlm.data.sentence_pairs.store import PairStore
from mindmlm.data.sources.base import Source
from mindmlm.data.store import TokenStore
from mindmlm.errors import DataError
from mindmlm.tokenizers.files import AnyTokenizer


@dataclass(frozen=True)
class RecordSettings:
    """Record files and the rows they must fit.

    Attributes:
        train: training rows.
        evaluation: evaluation rows; empty = evaluation text, or rows held out.
        max_seq_length: L of the run.
        predictions: P of the run; None = that of the files.
        pairs: every row must be a pair with a label.
    """

    train: tuple[RecordFile, ...]
    evaluation: tuple[RecordFile, ...]
    max_seq_length: int
    predictions: int | None = None
    pairs: bool = False


@dataclass(frozen=True)
class CorpusSettings:
    """Which text is for training and which for evaluation.

    Attributes:
        train: training text; None only where evaluation text is all that is wanted.
        evaluation: evaluation text; None = documents held out from the training text.
        num_samples, eval_num_samples: most documents read; None = all.
        holdout_fraction: part of the documents held out.
        samples: how text becomes samples.
        records: training data that are prepared already; ``train`` is None then.
    """

    train: Source | None
    evaluation: Source | None = None
    num_samples: int | None = None
    eval_num_samples: int | None = None
    holdout_fraction: float = 0.05
    samples: SampleSettings = field(default_factory=SampleSettings)
    records: RecordSettings | None = None


@dataclass(frozen=True)
class PreparedCorpus:
    """Stores ready to be read.

    Attributes:
        train, evaluation: the samples.
        reports: "training text" and "evaluation text", or only the first when documents were
            held out from it.
    """

    train: SampleStore | PairStore
    evaluation: TokenStore | PairStore
    reports: dict[str, ReadReport]

    @property
    def fingerprint(self) -> str:
        """Hexadecimal digest of the contents of both stores."""
        both = self.train.fingerprint + self.evaluation.fingerprint
        return hashlib.blake2b(both.encode(), digest_size=16).hexdigest()

    def summary(self) -> str:
        """Return the reports as text for people."""
        parts = [f"{name}: {report.summary()}" for name, report in self.reports.items()]
        parts.append(
            f"{self.train.num_samples:,} samples for training, "
            f"{self.evaluation.num_samples:,} for evaluation"
        )
        return "\n".join(parts)


def prepare_corpus(
    settings: CorpusSettings, tokenizer: AnyTokenizer, cache_dir: Path, progress: bool = False
) -> PreparedCorpus:
    """Tokenize the training and evaluation text, or open what an earlier run prepared.

    The cache is a folder named by a digest of the source's identity, the tokenizer, the
    settings and library versions; it appears by a rename when it is complete.

    Held-out documents are chosen by a hash of their text before packing, so equal documents never
    stand on both sides. If the fraction picks none, the one with the smallest hash is held out.

    Args:
        settings: see `CorpusSettings`.
        tokenizer: its kind decides what the samples are for: BERT's are masked, GPT-2's read on.
        cache_dir: made when missing.
        progress: show a bar on standard error while preparing.

    Raises:
        DataError: no text, faulty text, or fewer than two different documents to hold out from.
    """
    if settings.records is not None:
        return _prepare_records(settings, settings.records, tokenizer, cache_dir, progress)
    if settings.train is None:
        raise DataError("no training text to hold documents out of; give one, or evaluation text")
    job = CorpusJob(settings.train, settings.samples, tokenizer, settings.num_samples, progress)
    if settings.evaluation is None:
        train, evaluation, report = job.prepare_with_holdout(cache_dir, settings.holdout_fraction)
        return PreparedCorpus(train, evaluation, {"training text": report})
    train, report = job.prepare(cache_dir)
    evaluation, evaluation_report = _evaluation_job(
        settings, settings.evaluation, tokenizer, progress
    ).prepare(cache_dir)
    reports = {"training text": report, "evaluation text": evaluation_report}
    return PreparedCorpus(train, evaluation, reports)


def prepare_evaluation(
    settings: CorpusSettings, tokenizer: AnyTokenizer, cache_dir: Path, progress: bool = False
) -> tuple[TokenStore | PairStore, ReadReport]:
    """Prepare only the evaluation text; training text is read only to hold documents out of it.

    Arguments and errors as for `prepare_corpus`.
    """
    if settings.records is not None and settings.records.evaluation:
        job = _record_job(settings, settings.records, tokenizer, progress)
        job = replace(job, files=settings.records.evaluation, num_samples=settings.eval_num_samples)
        return job.prepare_for_evaluation(cache_dir)
    if settings.evaluation is not None:
        return _evaluation_job(settings, settings.evaluation, tokenizer, progress).prepare(
            cache_dir
        )
    corpus = prepare_corpus(settings, tokenizer, cache_dir, progress)
    return corpus.evaluation, next(iter(corpus.reports.values()))


def _prepare_records(
    settings: CorpusSettings,
    records: RecordSettings,
    tokenizer: AnyTokenizer,
    cache_dir: Path,
    progress: bool,
) -> PreparedCorpus:
    job = _record_job(settings, records, tokenizer, progress)
    if not (records.evaluation or settings.evaluation):
        train, evaluation, report = job.prepare_with_holdout(cache_dir, settings.holdout_fraction)
        return PreparedCorpus(train, evaluation, {"training records": report})
    train, report = job.prepare(cache_dir)
    held_apart, other = prepare_evaluation(settings, tokenizer, cache_dir, progress)
    return PreparedCorpus(train, held_apart, {"training records": report, "evaluation data": other})


def _record_job(
    settings: CorpusSettings, records: RecordSettings, tokenizer: AnyTokenizer, progress: bool
) -> RecordJob:
    return RecordJob(
        records.train,
        tokenizer,
        records.max_seq_length,
        records.predictions,
        settings.num_samples,
        progress,
        records.pairs,
    )


def _evaluation_job(
    settings: CorpusSettings, source: Source, tokenizer: AnyTokenizer, progress: bool
) -> CorpusJob:
    # Evaluation masks tokens; its samples must not depend on the segmenter.
    samples = replace(settings.samples, segmenter="none")
    return CorpusJob(
        source, samples, tokenizer, settings.eval_num_samples, progress, for_evaluation=True
    )
