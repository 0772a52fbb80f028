"""Objects that stand for keys of a configuration: data sets, tokenizers, networks."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mindmlm.checkpoint import recorded_config
from mindmlm.checkpoint.naming import LATEST_NAME
from mindmlm.config.named_runs import TASKS
from mindmlm.config.python_settings import Setting
from mindmlm.config.schema import RunConfig
from mindmlm.conversion.names import resolve_name
from mindmlm.conversion.recognise import is_own
from mindmlm.conversion.starting_point import OF_THE_RUN
from mindmlm.data.vocabulary import save_tokenizer
from mindmlm.errors import CheckpointError, ConfigError
from mindmlm.runtime.run_folder import RunFolder
from mindmlm.tokenizers.base import Tokenizer
from mindmlm.tokenizers.files import BERT, BYTE_LEVEL, TOKENIZER_FILES
from mindmlm.trainer.datasets import QUESTIONS, TEXT_FIELD, TEXTS, write_dataset

TRAIN, EVALUATION, TOKENIZER = "train_dataset", "eval_dataset", "tokenizer"
_QUESTION_ANSWERING = "QuestionAnsweringTrainer"
_ARCHITECTURES = {
    "BertForMaskedLM": "fill_mask",
    "BertForPreTraining": "fill_mask",
    "RobertaForMaskedLM": "fill_mask",
    "BertForQuestionAnswering": "question_answering",
    "ElectraForPreTraining": "replaced_tokens",
    "GPT2LMHeadModel": "text_generation",
}
_TOKENIZER = "processor.tokenizer"
_FOLDER = "given"


def given_folder(config: RunConfig) -> Path:
    """Return the folder for files that objects are written to."""
    return RunFolder(Path(config.output_dir)).dataset_cache / _FOLDER


def dataset_settings(name: str, dataset: Any, config: RunConfig) -> list[Setting]:
    """Return the settings that a data set stands for; objects are written to a file first.

    Args:
        name: `TRAIN` or `EVALUATION`.
        dataset: a path, or items (see `write_dataset`).
        config: says which task it is for, and where files go.

    Raises:
        ConfigError, DataError: see `write_dataset`.
    """
    origin, loader = f"Trainer({name})", f"{name}.data_loader"
    if isinstance(dataset, str | Path):
        return [Setting(origin, f"{loader}.dataset_dir", dataset)]
    folder = given_folder(config)
    if config.trainer.type == _QUESTION_ANSWERING:
        return [Setting(origin, f"{loader}.dataset_dir", write_dataset(dataset, QUESTIONS, folder))]
    settings = [
        Setting(origin, f"{loader}.dataset_dir", write_dataset(dataset, TEXTS, folder)),
        Setting(origin, f"{loader}.file_format", "jsonl"),
        Setting(origin, f"{loader}.text_field", [TEXT_FIELD]),
    ]
    if name == TRAIN:
        settings.append(Setting(origin, f"{loader}.type", "TextDataLoader"))
    return settings


def tokenizer_settings(tokenizer: Any, expected: str, folder: Path) -> list[Setting]:
    """Return the settings that a tokenizer stands for.

    Args:
        tokenizer: the path of a vocabulary or of its folder, or an object, which is written down.
        expected: kind of a vocabulary that a folder stands for.
        folder: for the files of an object.

    Raises:
        ConfigError: it is neither, or its files are not there.
    """
    origin = TOKENIZER
    if isinstance(tokenizer, str | Path):
        path = _vocabulary(Path(tokenizer), expected)
        return [Setting(origin, f"{_TOKENIZER}.vocab_file", path)]
    setup = getattr(tokenizer, "setup", None)
    description = setup() if callable(setup) else {}
    kind = description.get("type")
    if kind not in TOKENIZER_FILES:
        raise ConfigError(
            f"tokenizer: {type(tokenizer).__name__} is no tokenizer of mindmlm; expected "
            f"{' or '.join(TOKENIZER_FILES)}, or the path of a vocabulary (a file or its folder)"
        )
    settings = [
        Setting(origin, f"{_TOKENIZER}.type", kind),
        Setting(origin, f"{_TOKENIZER}.vocab_file", _written(tokenizer, folder)),
    ]
    if kind == BERT:
        lower = description["do_lower_case"]
        settings.append(Setting(origin, f"{_TOKENIZER}.do_lower_case", lower))
    if kind in BYTE_LEVEL:
        settings.append(Setting(origin, f"{_TOKENIZER}.merges_file", ""))
    return settings


def _vocabulary(path: Path, kind: str) -> Path:
    """Return the file of a vocabulary, which may be named by its folder."""
    if not path.is_dir():
        return path
    name = TOKENIZER_FILES[kind][0]
    if not (path / name).is_file():
        raise ConfigError(f"tokenizer: there is no {name} in {path}")
    return path / name


def _written(tokenizer: Tokenizer, folder: Path) -> Path:
    try:
        return save_tokenizer(tokenizer, folder / tokenizer.fingerprint())[0]
    except OSError as error:
        raise ConfigError(
            f"{folder}: the vocabulary cannot be written: {error.strerror}; choose another "
            "output_dir"
        ) from None


def task_of_network(network: Any) -> str:
    """Return the name of the task that a network is for.

    Raises:
        ConfigError: it is none of ours.
    """
    from mindmlm import build

    return _ARCHITECTURES[build.architecture_of(network)]


def network_settings(network: Any, origin: str) -> list[Setting]:
    """Return the settings that describe a network.

    Raises:
        ConfigError: it is none of ours.
    """
    from mindmlm import build

    architecture = build.architecture_of(network)
    rows = {"vocab_size": None}
    described = network.config.model_copy(update=rows)
    return [
        Setting(origin, "model.arch.type", architecture),
        Setting(origin, "model.model_config", described),
    ]


def checkpoint_settings(config: RunConfig) -> list[Setting]:
    """Return what a checkpoint of ours decides: its network and its kind of text.

    As a checkpoint of another library it brings them, so that what a run has taken over from one
    need not be told again. Whether the checkpoint is good is seen when it is loaded.
    """
    path = _own_checkpoint(config)
    record = recorded_config(path) if path else None
    if record is None:
        return []
    network, tokenizer = record["model"]["model_config"], record["processor"]["tokenizer"]
    if network["type"] != config.model.settings.type:
        return []
    ours = config.model.settings.model_dump()
    brought = {
        f"model.model_config.{name}": value
        for name, value in network.items()
        if name not in OF_THE_RUN and value != ours.get(name)
    }
    if config.run_mode == "finetune" and config.processor.tokenizer.vocab_file:
        # The vocabulary may be the checkpoint's with more tokens.
        brought.pop("model.model_config.vocab_size", None)
    for name in ("type", "do_lower_case", "train_vocab_size"):
        brought[f"{_TOKENIZER}.{name}"] = tokenizer[name]
    return [Setting(f"config of {path}", key, value) for key, value in brought.items()]


def _own_checkpoint(config: RunConfig) -> Path | None:
    """Return where the checkpoint of ours is that `load_checkpoint` means, if it means one."""
    if config.load_checkpoint == LATEST_NAME:
        return Path(config.output_dir)
    if not config.load_checkpoint:
        return None
    try:
        path = resolve_name(config.load_checkpoint)
    except CheckpointError:
        return None
    return path if is_own(path) else None


def answer_settings(task: str, values: Mapping[str, Any], call: str) -> list[Setting]:
    """Return the settings of a task's answers that a call was given.

    Raises:
        ConfigError: the task has none.
    """
    named = TASKS[task]
    if values and not named.section:
        raise ConfigError(f"{call}: task {task} has no setting {next(iter(values))}")
    return [Setting(f"{call}({name})", named.key(name), value) for name, value in values.items()]


def is_network(model: Any) -> bool:
    """Whether a model is a network (an `nn.Cell`), and no name or description."""
    return any(kind.__module__.startswith("mindspore.") for kind in type(model).__mro__)
