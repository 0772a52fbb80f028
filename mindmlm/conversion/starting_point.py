"""Starting a run from a checkpoint of another library: its weights, its model, its vocabulary."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mindmlm.checkpoint.naming import LATEST_NAME
from mindmlm.config.checks import check_consistency
from mindmlm.config.render import to_plain
from mindmlm.config.schema import ElectraModelConfig, RunConfig
from mindmlm.conversion.architectures import TASK_HEADS, architecture_of
from mindmlm.conversion.converted_model import ConvertedModel, from_match
from mindmlm.conversion.matching import Allowances
from mindmlm.conversion.model_config import AnySettings
from mindmlm.conversion.names import resolve_name
from mindmlm.conversion.origin import Origin, match_origin, open_origin, with_parts_of
from mindmlm.conversion.recognise import is_own
from mindmlm.conversion.resizing import is_longer, resize_vocabulary
from mindmlm.conversion.tokenizer_files import TokenizerFiles, tokenizer_keys
from mindmlm.errors import CheckpointError, ConfigError
from mindmlm.tokenizers.files import AnyTokenizer, load_tokenizer

logger = logging.getLogger(__name__)

MODEL = "model"
# What a folder's description does not decide: it changes how a model is trained, not what it is.
OF_THE_RUN = (
    "embedding_dropout_prob",
    "hidden_dropout_prob",
    "attention_probs_dropout_prob",
    "initializer_range",
    "compute_dtype",
)
_OF_THE_GENERATOR = ("generator_hidden_size", "generator_layers")


@dataclass(frozen=True)
class ForeignRecord:
    """Type and shape of a tensor, as `Checkpoint.records` gives them."""

    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class ForeignCheckpoint:
    """A checkpoint of another library, read like one of ours: weights in float32, step 0.

    Attributes:
        path: where it lies.
        model: its parameters by our names.
        tokenizer: of the model.
    """

    path: Path
    model: ConvertedModel
    tokenizer: TokenizerFiles

    step = 0

    @property
    def state(self) -> dict[str, Any]:
        """What a checkpoint of ours would say of its run: the vocabulary, nothing else."""
        return {"tokenizer_fingerprint": self.tokenizer.fingerprint()}

    @property
    def config(self) -> dict[str, Any]:
        """The configuration of a run of which nothing is known."""
        return to_plain(RunConfig())

    def make_tokenizer(self) -> AnyTokenizer:
        """Return the tokenizer that the weights belong to."""
        return self.tokenizer.tokenizer

    def records(self, group: str) -> dict[str, ForeignRecord]:
        """Return type and shape of every tensor of ``group``.

        Raises:
            CheckpointError: the group is not the model's.
        """
        if group != MODEL:
            raise CheckpointError(f"{self.path}: no group {group!r} of tensors; it has: {MODEL}")
        return {name: ForeignRecord("float32", shape) for name, shape in self.model.shapes.items()}

    def shape(self, group: str, name: str) -> tuple[int, ...]:
        """Return the whole shape of a tensor."""
        return self.records(group)[name].shape

    def iterate(self, group: str) -> Iterator[tuple[str, np.ndarray]]:
        """Yield name and tensor one by one.

        Raises:
            CheckpointError: the bytes of a tensor are damaged.
        """
        whole = {
            name: tuple(slice(0, size) for size in record.shape)
            for name, record in self.records(group).items()
        }
        return self.blocks(group, whole)

    def blocks(
        self, group: str, wanted: Mapping[str, tuple[slice, ...]]
    ) -> Iterator[tuple[str, np.ndarray]]:
        """Yield name and block of the tensors named in ``wanted``, one by one.

        Args:
            group: `model`.
            wanted: name -> slices with start and stop, one for each dimension.

        Raises:
            CheckpointError: the bytes of a tensor are damaged.
        """
        self.records(group)
        for name, block in wanted.items():
            # A copy of the part: nobody writes into the file.
            yield name, np.array(self.model.checked(name)[block], dtype=np.float32, order="C")


@dataclass(frozen=True)
class ForeignStart:
    """A checkpoint to start from, and the configuration with what it decides of it."""

    checkpoint: ForeignCheckpoint
    config: RunConfig


def foreign_path(config: RunConfig) -> Path | None:
    """Return where the checkpoint of another library is that `load_checkpoint` means.

    None when it means one of ours. A name is looked up, see `resolve_name`.

    Raises:
        CheckpointError: there is nothing of that name.
    """
    if not config.load_checkpoint or config.load_checkpoint == LATEST_NAME:
        return None
    path = resolve_name(config.load_checkpoint)
    return None if is_own(path) else path


def open_foreign(path: Path, config: RunConfig) -> ForeignStart:
    """Open a checkpoint of another library to start from.

    What it changes in the configuration is reported in the log.

    Args:
        path: a folder or file of any format.
        config: of the run; describes the model where the checkpoint does not.

    Raises:
        CheckpointError, DataError: missing, damaged, or it does not fit.
        ConfigError: the configuration does not fit the model of the checkpoint.
    """
    opened = open_origin(path)
    if opened.settings is not None:
        _check_kind(opened.settings, config, path)
    origin = _described(opened, config)
    # A new head is what fine-tuning for a task is for; nothing else can be done with one.
    fresh = TASK_HEADS if config.run_mode == "finetune" else ()
    found = match_origin(origin, Allowances(missing=fresh))
    assert origin.settings is not None and origin.tokenizer is not None
    deviation = partial(origin.architecture.initial_deviation, origin.settings)
    model = from_match(found, config.seed, deviation)
    model, tokenizer = _extended(model, origin.tokenizer, config)
    rows = model.shapes[origin.architecture.word][0]
    settings = origin.settings.model_copy(update={"vocab_size": rows})
    logger.info("checkpoint: %s", model.report.as_text())
    for note in tokenizer.notes:
        logger.warning("%s: %s", path, note)
    changed = _fitted(config, settings, tokenizer, path)
    return ForeignStart(ForeignCheckpoint(path, model, tokenizer), changed)


def _check_kind(settings: AnySettings, config: RunConfig, path: Path) -> None:
    """Refuse a checkpoint of another kind of model than the configuration's.

    Raises:
        ConfigError: it is one; the message names a configuration that fits.
    """
    theirs, ours = architecture_of(settings), architecture_of(config.model.settings)
    if theirs.name != ours.name:
        raise ConfigError(
            f"load_checkpoint: {path} holds a {theirs.name}, and model.arch.type is "
            f"{config.model.arch.type}; "
            f"start from a configuration of it, such as {theirs.example}"
        )


def _described(origin: Origin, config: RunConfig) -> Origin:
    """Fill in from the configuration what the checkpoint does not say about itself."""
    section = config.processor.tokenizer
    settings, tokenizer = origin.settings, origin.tokenizer
    if tokenizer is None and section.vocab_file:
        tokenizer = TokenizerFiles(load_tokenizer(section))
    if tokenizer is None:
        raise CheckpointError(
            f"{origin.source.path}: no vocabulary beside it; name it with --vocab_file"
        )
    if settings is None:
        rows = config.model.settings.vocab_size or len(tokenizer.tokens)
        described = config.model.settings.model_copy(update={"vocab_size": rows})
        settings = with_parts_of(described, origin.source)
    if isinstance(settings, ElectraModelConfig):
        # A folder describes the discriminator only; its generator is that of the run.
        sizes = {name: getattr(config.model.settings, name) for name in _OF_THE_GENERATOR}
        settings = settings.model_copy(update=sizes)
    return Origin(origin.source, settings, tokenizer, kind=config.model.arch.type)


def _extended(
    model: ConvertedModel, tokenizer: TokenizerFiles, config: RunConfig
) -> tuple[ConvertedModel, TokenizerFiles]:
    """Give the model rows for the new tokens of a longer vocabulary that the run names.

    Raises:
        CheckpointError: the run names a vocabulary that is another one.
    """
    section = config.processor.tokenizer
    if not section.vocab_file:
        return model, tokenizer
    merges_file = Path(section.merges_file) if section.merges_file else None
    given, old = section.vocab_file, tokenizer.tokenizer
    new = tokenizer.another(Path(given), merges_file)
    if new.fingerprint() == old.fingerprint():
        return model, tokenizer
    if not is_longer(old, new):
        raise CheckpointError(
            f"{model.report.source}: belongs to another vocabulary than {given}; leave "
            "--vocab_file out to use the one beside it, or name one that begins with its tokens"
        )
    longer = replace(tokenizer, tokenizer=new)
    return resize_vocabulary(model, old, new, from_pieces=True), longer


def _fitted(
    config: RunConfig, settings: AnySettings, tokenizer: TokenizerFiles, path: Path
) -> RunConfig:
    """Return the configuration with the checkpoint's model and kind of text, and log the changes.

    Raises:
        ConfigError: it contradicts itself then.
    """
    ours = config.model.settings
    kept = {key: getattr(ours, key) for key in OF_THE_RUN if hasattr(ours, key)}
    section = config.processor.tokenizer
    keys = tokenizer_keys(tokenizer)
    changed = config.model_copy(
        update={
            "model": config.model.model_copy(update={"settings": settings.model_copy(update=kept)}),
            "processor": config.processor.model_copy(
                update={"tokenizer": section.model_copy(update=keys)}
            ),
        }
    )
    for key, value in changed.model.settings.model_dump().items():
        before = getattr(ours, key)
        if before != value and before is not None:
            logger.info("model_config.%s: %s, from the checkpoint, not %s", key, value, before)
    if section.do_lower_case != keys.get("do_lower_case", section.do_lower_case):
        logger.info("do_lower_case: %s, from the checkpoint", tokenizer.do_lower_case)
    problems = check_consistency(changed)
    if problems:
        lines = "\n".join(f"{problem.path}: {problem.message}" for problem in problems)
        raise ConfigError(f"with the model of {path}:\n{lines}")
    return changed
