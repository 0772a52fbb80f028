"""From a configuration to the record files of a run; no MindSpore in here."""

from pathlib import Path

from mindmlm.config.schema import RunConfig
from mindmlm.data.prepare import RecordSettings
from mindmlm.data.records.files import RecordFile, record_files
from mindmlm.data.sources.splits import split_of
from mindmlm.errors import DataError

RECORD_LOADERS = ("MindDataset", "TFRecordDataset")


def reads_records(config: RunConfig) -> bool:
    """Return whether the training data are records, not text."""
    return config.train_dataset.data_loader.type in RECORD_LOADERS


def evaluates_on_records(config: RunConfig) -> bool:
    """Return whether the place given for evaluation holds records; text is allowed as well."""
    place = config.eval_dataset.data_loader.dataset_dir
    return reads_records(config) and bool(place) and bool(_files(config, place))


def record_settings(config: RunConfig) -> RecordSettings | None:
    """Return which records are for what; None when the run reads text.

    Of a folder, files whose names begin with valid, dev, eval or test are no training data.

    Raises:
        DataError: there are no record files.
    """
    if not reads_records(config):
        return None
    section = config.train_dataset
    place = section.data_loader.dataset_dir
    evaluation_place = config.eval_dataset.data_loader.dataset_dir
    everything = _files(config, place) if place else []
    is_folder = Path(place).is_dir()
    train = [file for file in everything if not is_folder or _split(file) == "train"]
    evaluation = _files(config, evaluation_place) if evaluation_place else []
    if is_folder and not evaluation_place:
        evaluation = [file for file in everything if _split(file) == "eval"]
    if place and not train:
        raise DataError(
            f"{place}: no record files for {section.data_loader.type}; TFRecord files have "
            "tfrecord in their names, MindRecord files NAME.db beside them "
            "(tools/build_dataset.py makes both)"
        )
    return RecordSettings(
        train=tuple(train),
        evaluation=tuple(evaluation),
        max_seq_length=section.max_seq_length,
        predictions=section.max_predictions_per_seq,
        pairs=section.sentence_pairs != "none",
    )


def _files(config: RunConfig, place: str) -> list[RecordFile]:
    loader = config.train_dataset.data_loader.type
    return [RecordFile(path, loader) for path in record_files(place, loader)]


def _split(file: RecordFile) -> str:
    return split_of(file.path.name)
