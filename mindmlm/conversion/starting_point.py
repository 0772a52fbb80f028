"""Starting a run from a checkpoint of another library: its weights, its model, its vocabulary."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mindmlm.checkpoint.naming import LATEST_NAME
from mindmlm.config.checks import check_consistency
from mindmlm.config.render import to_plain
from mindmlm.config.schema import RunConfig
from mindmlm.config.schema.bert import BertModelConfig
from mindmlm.conversion.converted_model import ConvertedModel, from_match
from mindmlm.conversion.matching import Allowances
from mindmlm.conversion.names import resolve_name
from mindmlm.conversion.origin import WORD, Origin, match_origin, open_origin, with_parts_of
from mindmlm.conversion.recognise import is_own
from mindmlm.conversion.resizing import resize_vocabulary
from mindmlm.conversion.tokenizer_files import TokenizerFiles
from mindmlm.errors import CheckpointError, ConfigError
from mindmlm.tokenizers.bert import BertTokenizer, read_vocab
from mindmlm.tokenizers.vocab_extension import is_extension

logger = logging.getLogger(__name__)

MODEL = "model"
# What a folder's description does not decide: it changes how a model is trained, not what it is.
_OF_THE_RUN = (
    "hidden_dropout_prob",
    "attention_probs_dropout_prob",
    "initializer_range",
    "compute_dtype",
)


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

    def make_tokenizer(self) -> BertTokenizer:
        """Return the tokenizer that the weights belong to."""
        return BertTokenizer(self.tokenizer.tokens, self.tokenizer.do_lower_case)

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
    origin = _described(open_origin(path), config)
    found = match_origin(origin, Allowances())
    assert origin.settings is not None and origin.tokenizer is not None
    model = from_match(found, config.seed, origin.settings.initializer_range)
    model, tokenizer = _extended(model, origin.tokenizer, config)
    rows = model.shapes[WORD][0]
    settings = origin.settings.model_copy(update={"vocab_size": rows})
    logger.info("checkpoint: %s", model.report.as_text())
    for note in tokenizer.notes:
        logger.warning("%s: %s", path, note)
    changed = _fitted(config, settings, tokenizer, path)
    return ForeignStart(ForeignCheckpoint(path, model, tokenizer), changed)


def _described(origin: Origin, config: RunConfig) -> Origin:
    """Fill in from the configuration what the checkpoint does not say about itself."""
    section = config.processor.tokenizer
    settings, tokenizer = origin.settings, origin.tokenizer
    if tokenizer is None and section.vocab_file:
        tokens = read_vocab(Path(section.vocab_file))
        tokenizer = TokenizerFiles(tokens, section.do_lower_case)
    if tokenizer is None:
        raise CheckpointError(
            f"{origin.source.path}: no vocabulary beside it; name it with --vocab_file"
        )
    if settings is None:
        rows = config.model.settings.vocab_size or len(tokenizer.tokens)
        described = config.model.settings.model_copy(update={"vocab_size": rows})
        settings = with_parts_of(described, origin.source)
    return Origin(origin.source, settings, tokenizer)


def _extended(
    model: ConvertedModel, tokenizer: TokenizerFiles, config: RunConfig
) -> tuple[ConvertedModel, TokenizerFiles]:
    """Give the model rows for the new tokens of a longer vocabulary that the run names.

    Raises:
        CheckpointError: the run names a vocabulary that is another one.
    """
    given = config.processor.tokenizer.vocab_file
    new = read_vocab(Path(given)) if given else tokenizer.tokens
    if new == tokenizer.tokens:
        return model, tokenizer
    if not is_extension(tokenizer.tokens, new):
        raise CheckpointError(
            f"{model.report.source}: belongs to another vocabulary than {given}; leave "
            "--vocab_file out to use the one beside it, or name one that begins with its tokens"
        )
    longer = TokenizerFiles(new, tokenizer.do_lower_case, tokenizer.notes)
    return resize_vocabulary(model, tokenizer.tokens, new, from_pieces=True), longer


def _fitted(
    config: RunConfig, settings: BertModelConfig, tokenizer: TokenizerFiles, path: Path
) -> RunConfig:
    """Return the configuration with the checkpoint's model and kind of text, and log the changes.

    Raises:
        ConfigError: it contradicts itself then.
    """
    ours = config.model.settings
    kept = {key: getattr(ours, key) for key in _OF_THE_RUN}
    section = config.processor.tokenizer
    lower = {"do_lower_case": tokenizer.do_lower_case, "train_vocab_size": len(tokenizer.tokens)}
    changed = config.model_copy(
        update={
            "model": config.model.model_copy(update={"settings": settings.model_copy(update=kept)}),
            "processor": config.processor.model_copy(
                update={"tokenizer": section.model_copy(update=lower)}
            ),
        }
    )
    for key, value in changed.model.settings.model_dump().items():
        before = getattr(ours, key)
        if before != value and before is not None:
            logger.info("model_config.%s: %s, from the checkpoint, not %s", key, value, before)
    if section.do_lower_case != tokenizer.do_lower_case:
        logger.info("do_lower_case: %s, from the checkpoint", tokenizer.do_lower_case)
    problems = check_consistency(changed)
    if problems:
        lines = "\n".join(f"{problem.path}: {problem.message}" for problem in problems)
        raise ConfigError(f"with the model of {path}:\n{lines}")
    return changed
