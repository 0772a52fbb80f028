"""From a configuration to the sources of its text; no MindSpore in here."""

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mindmlm.build_data.records import evaluates_on_records, reads_records
from mindmlm.build_data.without_effect import keys_without_effect
from mindmlm.config.schema import RunConfig
from mindmlm.data.sources.base import Source
from mindmlm.data.sources.cleaned import Cleaning, cleaned
from mindmlm.data.sources.datasets import FileDataset
from mindmlm.data.sources.files import FileSource
from mindmlm.data.sources.locations import STANDARD_INPUT, Location
from mindmlm.data.sources.object_store import Access
from mindmlm.data.sources.options import ReadOptions
from mindmlm.data.sources.splits import resolve_split
from mindmlm.data.sources.sql import SqlSource
from mindmlm.data.sources.sql_connection import Database
from mindmlm.data.sources.sql_statement import TableQuery
from mindmlm.errors import ConfigError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class CorpusSources:
    """The text of a run.

    Attributes:
        train: None in an evaluation that has a text of its own.
        evaluation: None = documents are held out from the training text.
    """

    train: Source | None
    evaluation: Source | None


def corpus_sources(config: RunConfig, spool_dir: Path) -> CorpusSources:
    """Look where the text is; standard input is copied into `spool_dir`, so call this once.

    Keys that were set and that nothing reads are explained in the log.

    Raises:
        ConfigError: both texts are standard input.
        DataError: there is no text, or it cannot be reached.
    """
    for problem in keys_without_effect(config):
        logger.warning("%s %s", problem.path, problem.message)
    if config.train_dataset.data_loader.type == "SqlDataLoader":
        return _table_sources(config, spool_dir)
    if reads_records(config):
        text = None if evaluates_on_records(config) else _evaluation_dataset(config, spool_dir)
        return CorpusSources(None, text.evaluation() if text else None)
    evaluation = _evaluation_dataset(config, spool_dir)
    if evaluation and (
        config.run_mode == "eval" or not config.train_dataset.data_loader.dataset_dir
    ):
        return CorpusSources(None, evaluation.evaluation())
    training = training_dataset(config, spool_dir)
    if evaluation is None:
        return CorpusSources(training.training(), training.evaluation_beside_training())
    if training.location.text == evaluation.location.text == STANDARD_INPUT:
        raise ConfigError(
            "eval_dataset.data_loader.dataset_dir: standard input (-) is the training text "
            "already; give a file"
        )
    return CorpusSources(training.training(), evaluation.evaluation())


def training_dataset(config: RunConfig, spool_dir: Path) -> FileDataset:
    """Return where the training text is and how it is read."""
    place = config.train_dataset.data_loader.dataset_dir
    return _dataset(config, place, _training_options(config), spool_dir)


def training_files(config: RunConfig, places: Sequence[str], spool_dir: Path) -> Source:
    """Return the training text of several places, each written as a `dataset_dir`.

    Raises:
        DataError: one of them holds no text, or cannot be reached.
    """
    options = _training_options(config)
    files = (
        file
        for place in places
        for file in resolve_split(_dataset(config, place, options, spool_dir).listing, "train")
    )
    return cleaned(FileSource(tuple(files), options), _cleaning(config))


def _training_options(config: RunConfig) -> ReadOptions:
    loader = config.train_dataset.data_loader
    return ReadOptions(
        file_format=loader.file_format,
        text_format=loader.text_format,
        on_error=loader.on_error,
        max_line_bytes=loader.max_line_bytes,
        text_field=tuple(loader.text_field),
        csv_delimiter=loader.csv_delimiter,
    )


def _evaluation_dataset(config: RunConfig, spool_dir: Path) -> FileDataset | None:
    loader, training = config.eval_dataset.data_loader, config.train_dataset.data_loader
    if not loader.dataset_dir:
        return None
    options = ReadOptions(
        file_format=loader.file_format or training.file_format,
        text_format=training.text_format,
        on_error=training.on_error,
        max_line_bytes=training.max_line_bytes,
        text_field=tuple(loader.text_field or training.text_field),
        csv_delimiter=training.csv_delimiter,
    )
    return _dataset(config, loader.dataset_dir, options, spool_dir)


def _dataset(config: RunConfig, text: str, options: ReadOptions, spool_dir: Path) -> FileDataset:
    loader = config.train_dataset.data_loader
    access = Access(loader.endpoint_url, loader.credentials_file)
    return FileDataset(Location(text, access, spool_dir), options, _cleaning(config))


def _cleaning(config: RunConfig) -> Cleaning:
    loader = config.train_dataset.data_loader
    return Cleaning(
        steps=tuple(loader.cleaning),
        join_lines_up_to=loader.join_lines_up_to,
        min_line_characters=loader.min_line_characters,
        max_line_characters=loader.max_line_characters,
    )


def _table_sources(config: RunConfig, spool_dir: Path) -> CorpusSources:
    query = config.eval_dataset.data_loader.query
    files = None if query else _evaluation_dataset(config, spool_dir)
    evaluation = files.evaluation() if files else table_source(config, query) if query else None
    if evaluation and config.run_mode == "eval":
        return CorpusSources(None, evaluation)
    return CorpusSources(table_source(config, config.train_dataset.data_loader.query), evaluation)


def table_source(config: RunConfig, query: str) -> Source:
    """Return the rows of a query on the database of the training text."""
    loader = config.train_dataset.data_loader
    pairs = [text.partition("=") for text in loader.parameters]
    table = TableQuery(
        query=query,
        key_column=loader.key_column,
        text_field=loader.text_field[0],
        parameters={name: _value(text) for name, _, text in pairs},
    )
    source = SqlSource(
        Database(loader.url, loader.credentials_file),
        table,
        loader.slicing,
        loader.batch_rows,
        loader.on_error,
    )
    return cleaned(source, _cleaning(config))


def _value(text: str) -> int | float | str:
    if re.fullmatch(r"[-+]?[0-9]+", text):
        return int(text)
    if re.fullmatch(r"[-+]?[0-9]+\.[0-9]+", text):
        return float(text)
    quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "'\""
    return text[1:-1] if quoted else text
