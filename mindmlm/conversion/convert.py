"""A conversion from any format to any other."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from mindmlm.checkpoint.shards import TensorSpec
from mindmlm.config.schema import ElectraModelConfig, RunConfig, TrainDatasetConfig
from mindmlm.config.schema.model import ArchitectureConfig
from mindmlm.conversion.architectures import BERT, BERT_PRETRAINING, BERT_QA, ELECTRA
from mindmlm.conversion.averaging import AveragedCheckpoints
from mindmlm.conversion.converted_model import (
    ConvertedModel,
    Exported,
    export,
    from_match,
    under_own_names,
)
from mindmlm.conversion.distilbert import ARCHITECTURE as DISTILBERT
from mindmlm.conversion.distilbert import without_token_types
from mindmlm.conversion.electra_config import GENERATOR_MODEL, generator_settings
from mindmlm.conversion.electra_pair import with_generator
from mindmlm.conversion.folder_checksums import write_checksums
from mindmlm.conversion.matching import OWN_NAMES, Allowances
from mindmlm.conversion.model_config import AnySettings
from mindmlm.conversion.origin import Origin, match_origin, open_origin, own_origin
from mindmlm.conversion.progress import shown_progress
from mindmlm.conversion.readers.own import OwnCheckpoint
from mindmlm.conversion.report import Report
from mindmlm.conversion.resharding import FileLayout
from mindmlm.conversion.resizing import resize_positions, resize_vocabulary
from mindmlm.conversion.tables import electra
from mindmlm.conversion.tables.base import NameTable
from mindmlm.conversion.tokenizer_files import NOTHING_GIVEN, GivenTokenizer, tokenizer_keys
from mindmlm.conversion.writers.huggingface import description_texts, write_huggingface
from mindmlm.conversion.writers.mindspore_ckpt import write_mindspore
from mindmlm.conversion.writers.output import new_file_at, new_folder, refuse_existing
from mindmlm.conversion.writers.pytorch_bin import write_pytorch
from mindmlm.conversion.writers.run_folder import write_run
from mindmlm.errors import CheckpointError
from mindmlm.runtime.files import new_file

TARGETS = ("mindmlm", "huggingface", "mindspore", "pytorch")
OPTIMIZER = "optimizer"
DISCRIMINATOR, GENERATOR = "discriminator", "generator"
_DISTILBERT_NAMES = "distilbert"
_NAMES_GO_WITH = {
    "mindmlm": TARGETS,
    "mindformers": ("mindspore",),
    _DISTILBERT_NAMES: ("huggingface", "pytorch"),
}
_FILE_NAMES = {"mindspore": "model.ckpt", "pytorch": "pytorch_model.bin"}
# What an ELECTRA hides, where nothing else is said (configs/electra).
ELECTRA_MASKS = {"strategy": "token", "mask_prob": 0.85, "random_prob": 0.0}
_SUFFIXES = {"mindspore": (".ckpt",), "pytorch": (".bin", ".pt", ".pth")}


@dataclass(frozen=True)
class Conversion:
    """What is asked for.

    Attributes:
        input: folder, file or prefix.
        output: folder (mindmlm, huggingface) or file (mindspore, pytorch); must not exist.
        target: one of `TARGETS`.
        kind: format of the input, None to recognise it.
        names: names of the tensors: in a `.ckpt` mindmlm or mindformers; distilbert makes a
            DistilBertForMaskedLM of a BERT, for huggingface and pytorch.
        model_config, tokenizer: in place of what lies beside the weights.
        allowances: what may be missing or left over.
        resize_vocab: the file of a longer vocabulary (GPT-2's merges lie beside it); its new rows
            come from pieces or from the mean.
        new_rows: pieces or mean.
        resize_positions: another number of positions.
        seed: of the values of parameters that may be missing.
        average: number of the newest checkpoints of a run whose mean is taken; 0 for one as it is.
        generator: folder of ELECTRA's generator, where the input is a discriminator of another
            library.
        part: of an ELECTRA, for other libraries: `DISCRIMINATOR` or `GENERATOR`.
        layout: of the files of a checkpoint of ours.
        progress: show a bar on a terminal.
    """

    input: Path
    output: Path
    target: str
    kind: str | None = None
    names: str = "mindmlm"
    model_config: Path | None = None
    tokenizer: GivenTokenizer = NOTHING_GIVEN
    allowances: Allowances = field(default_factory=Allowances)
    resize_vocab: Path | None = None
    new_rows: str = "pieces"
    resize_positions: int | None = None
    seed: int = 42
    average: int = 0
    generator: Path | None = None
    part: str = DISCRIMINATOR
    layout: FileLayout = field(default_factory=FileLayout)
    progress: bool = False


def convert(job: Conversion) -> Report:
    """Convert a checkpoint; the output appears whole or not at all.

    Memory: one tensor, and twice it where it is transposed or put together.

    Returns:
        What became of every tensor.

    Raises:
        CheckpointError, DataError: the input is damaged or does not fit, or the output exists or
            cannot be written.
    """
    _check(job)
    refuse_existing(job.output)
    origin = _open(job)
    found = match_origin(origin, job.allowances)
    assert origin.settings is not None
    model = from_match(
        found, job.seed, partial(origin.architecture.initial_deviation, origin.settings)
    )
    model, origin = _resized(job, model, origin)
    _WRITERS[job.target](job, model, origin)
    return model.report


def _check(job: Conversion) -> None:
    """Refuse options that would do nothing."""
    if job.target != "mindmlm" and job.layout != FileLayout():
        raise CheckpointError(
            f"--to {job.target}: is written as a whole; data_parallel, model_parallel, "
            "pipeline_stage, optimizer_shard and vocab_emb_dp go with --to mindmlm"
        )
    if job.target not in ("huggingface", "pytorch") and job.part != DISCRIMINATOR:
        raise CheckpointError(
            f"--part {job.part}: goes with --to huggingface and pytorch; --to {job.target} writes "
            "both networks"
        )
    if job.target not in _NAMES_GO_WITH[job.names]:
        targets = " or ".join(_NAMES_GO_WITH[job.names])
        raise CheckpointError(f"--names {job.names}: goes with --to {targets}")


def _open(job: Conversion) -> Origin:
    if job.average:
        mean = AveragedCheckpoints(job.input, job.average)
        return own_origin(mean, job.tokenizer)
    origin = open_origin(job.input, job.kind, job.model_config, job.tokenizer)
    return with_generator(origin, job.generator) if job.generator else origin


def _resized(
    job: Conversion, model: ConvertedModel, origin: Origin
) -> tuple[ConvertedModel, Origin]:
    """Change the numbers of rows that the job asks for, and what describes the model."""
    changes: dict[str, int] = {}
    tokenizer = origin.tokenizer
    if job.resize_vocab:
        if tokenizer is None:
            raise CheckpointError("--resize_vocab: name the old vocabulary with --vocab_file")
        new = tokenizer.another(job.resize_vocab)
        model = resize_vocabulary(model, tokenizer.tokenizer, new, job.new_rows == "pieces")
        tokenizer = replace(tokenizer, tokenizer=new)
        changes["vocab_size"] = new.vocab_size
    if job.resize_positions:
        model = resize_positions(model, job.resize_positions)
        changes["max_position_embeddings"] = job.resize_positions
    assert origin.settings is not None
    settings = origin.settings.model_copy(update=changes)
    return model, replace(origin, settings=settings, tokenizer=tokenizer)


@dataclass(frozen=True)
class _Written:
    """A model as transformers knows it: its tensors, their names, its settings, its class."""

    model: ConvertedModel
    table: NameTable
    settings: AnySettings
    kind: str


def _for_transformers(job: Conversion, model: ConvertedModel, origin: Origin) -> _Written:
    """Return what is written: of its own architecture, as DistilBERT, or one of two networks."""
    settings, own = origin.settings, origin.architecture
    assert settings is not None
    if job.names == _DISTILBERT_NAMES:
        if own is not BERT:
            raise CheckpointError(
                f"--names {job.names}: {origin.source.path} is a {own.name}; only a {BERT.name} "
                f"can be written as a {DISTILBERT}"
            )
        table = BERT.table(_DISTILBERT_NAMES)
        return _Written(without_token_types(model), table, settings, DISTILBERT)
    if job.part == DISCRIMINATOR:
        return _Written(model, own.table("huggingface"), settings, own.name)
    if not isinstance(settings, ElectraModelConfig):
        raise CheckpointError(f"--part {job.part}: only ELECTRA has one; this is a {own.name}")
    return _Written(model, electra.GENERATOR, generator_settings(settings), GENERATOR_MODEL)


def _to_huggingface(job: Conversion, model: ConvertedModel, origin: Origin) -> None:
    written = _for_transformers(job, model, origin)
    tensors = {"model": export(written.model, written.table)}
    text = f"The weights come from a checkpoint in the format {origin.source.format}."
    with (
        new_folder(job.output) as folder,
        shown_progress(tensors, job.progress) as shown,
    ):
        name, tokenizer = job.output.name, origin.tokenizer
        write_huggingface(
            folder, shown["model"], written.settings, written.kind, tokenizer, name, text
        )


def _to_pytorch(job: Conversion, model: ConvertedModel, origin: Origin) -> None:
    written = _for_transformers(job, model, origin)
    tensors = {"model": export(written.model, written.table)}
    with _new_weights(job, origin, written) as path, shown_progress(tensors, job.progress) as shown:
        write_pytorch(path, shown["model"])


def _to_mindspore(job: Conversion, model: ConvertedModel, origin: Origin) -> None:
    assert origin.settings is not None
    is_own = job.names == "mindmlm"
    table = OWN_NAMES if is_own else origin.architecture.table(job.names)
    tensors = {"model": export(model, table)}
    whole = _Written(model, table, origin.settings, origin.architecture.name)
    with _new_weights(job, origin, whole) as path, shown_progress(tensors, job.progress) as shown:
        write_mindspore(path, shown["model"])


@contextmanager
def _new_weights(job: Conversion, origin: Origin, written: _Written) -> Iterator[Path]:
    """Give a path for the weights: the output itself, or in a folder with a description."""
    if job.output.suffix in _SUFFIXES[job.target]:
        with new_file_at(job.output) as path:
            yield path
        return
    texts = description_texts(written.settings, written.kind, origin.tokenizer)
    with new_folder(job.output) as folder:
        yield folder / _FILE_NAMES[job.target]
        for name, text in texts.items():
            with new_file(folder / name) as file:
                file.write(text.encode("utf-8"))
        write_checksums(folder, {})


def _to_mindmlm(job: Conversion, model: ConvertedModel, origin: Origin) -> None:
    if origin.tokenizer is None:
        raise CheckpointError(
            f"{origin.source.path}: no vocabulary beside it, and a checkpoint of ours belongs to "
            "one: name it with --vocab_file"
        )
    state: dict[str, Any] = {"tokenizer_fingerprint": origin.tokenizer.fingerprint()}
    groups = {"model": under_own_names(model)}
    step = 0
    is_resized = bool(job.resize_vocab or job.resize_positions)
    config = run_config(origin, is_resized)
    if isinstance(origin.source, OwnCheckpoint) and not is_resized:
        step, state = origin.source.checkpoint.step, origin.source.checkpoint.state
        groups |= _optimizer(origin.source)
    with new_folder(job.output) as folder, shown_progress(groups, job.progress) as shown:
        write_run(folder, shown, config, origin.tokenizer, step, state, job.layout)


def run_config(origin: Origin, is_resized: bool) -> RunConfig:
    """Return the configuration of a run that goes on from an origin.

    The run's own where it has one and nothing was resized; else changed as far as its model needs.
    """
    assert origin.settings is not None and origin.tokenizer is not None
    config = RunConfig.model_validate(origin.config) if origin.config else RunConfig()
    if origin.config and not is_resized:
        return config
    files, rows, kind = origin.tokenizer, config.train_dataset, origin.architecture
    tokenizer = config.processor.tokenizer.model_copy(update=tokenizer_keys(files))
    longest = min(rows.max_seq_length, origin.settings.longest_row)
    if kind is BERT_QA and not origin.config:
        rows = _rows_of_questions(rows, longest)
    if kind is BERT_PRETRAINING and not origin.config:
        rows = rows.model_copy(update={"sentence_pairs": "nsp"})
    if kind is ELECTRA and not origin.config:
        rows = rows.model_copy(update={"masking": rows.masking.model_copy(update=ELECTRA_MASKS)})
    return config.model_copy(
        update={
            "model": config.model.model_copy(
                update={
                    "settings": origin.settings,
                    "arch": ArchitectureConfig.model_validate({"type": kind.name}),
                }
            ),
            "trainer": config.trainer.model_copy(update={"type": kind.trainer}),
            "processor": config.processor.model_copy(update={"tokenizer": tokenizer}),
            "train_dataset": rows.model_copy(update={"max_seq_length": longest}),
        }
    )


def _rows_of_questions(rows: TrainDatasetConfig, length: int) -> TrainDatasetConfig:
    """Return the section for files of questions, with windows that advance in rows so short."""
    question = min(rows.max_question_length, length // 4)
    update = {
        "data_loader": rows.data_loader.model_copy(update={"type": "SQuADDataLoader"}),
        "max_question_length": question,
        "doc_stride": min(rows.doc_stride, length // 3),
    }
    return rows.model_copy(update=update)


def _optimizer(source: OwnCheckpoint) -> dict[str, Exported]:
    if OPTIMIZER not in source.checkpoint.manifest.tensors:
        return {}
    moments = OwnCheckpoint(source.checkpoint, OPTIMIZER)
    specs = {name: TensorSpec(info.dtype, info.shape) for name, info in moments.tensors.items()}
    return {OPTIMIZER: Exported(specs, moments.read)}


_WRITERS: dict[str, Callable[[Conversion, ConvertedModel, Origin], None]] = {
    "mindmlm": _to_mindmlm,
    "huggingface": _to_huggingface,
    "mindspore": _to_mindspore,
    "pytorch": _to_pytorch,
}
