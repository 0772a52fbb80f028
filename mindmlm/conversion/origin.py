"""A checkpoint of any format together with the description of its model and its tokenizer."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mindmlm.config.schema import RunConfig
from mindmlm.config.schema.bert import BertModelConfig
from mindmlm.conversion.architectures import (
    POOLER,
    Architecture,
    architecture_named,
    architecture_of,
)
from mindmlm.conversion.averaging import AveragedCheckpoints
from mindmlm.conversion.matching import Allowances, Match, choose_table, match, recipes_of
from mindmlm.conversion.model_config import (
    AnySettings,
    find_config,
    named_architecture,
    read_model_config,
)
from mindmlm.conversion.readers.own import OwnCheckpoint
from mindmlm.conversion.recognise import open_source
from mindmlm.conversion.source import TensorSource
from mindmlm.conversion.tokenizer_files import (
    NOTHING_GIVEN,
    GivenTokenizer,
    TokenizerFiles,
    read_tokenizer,
)
from mindmlm.errors import CheckpointError
from mindmlm.tokenizers.files import BERT


@dataclass(frozen=True)
class Origin:
    """What is converted.

    Attributes:
        source: the tensors under the names of their format.
        settings: the model, with `vocab_size` set; None when nothing describes it.
        tokenizer: None when there is none.
        config: the whole configuration of a run of ours, else None.
        kind: `model.arch.type`; None = the language model that the settings describe.
    """

    source: TensorSource
    settings: AnySettings | None
    tokenizer: TokenizerFiles | None
    config: dict[str, Any] | None = None
    kind: str | None = None

    @property
    def architecture(self) -> Architecture:
        """Of the model, which must be described."""
        assert self.settings is not None
        return architecture_named(self.kind) if self.kind else architecture_of(self.settings)


def open_origin(
    path: Path,
    kind: str | None = None,
    config_file: Path | None = None,
    given: GivenTokenizer = NOTHING_GIVEN,
) -> Origin:
    """Open a checkpoint and what describes it.

    Args:
        path: see `open_source`.
        kind: format, None to recognise it.
        config_file: a `config.json` or `bert_config.json` in place of the one beside the weights.
        given: a tokenizer in place of the one beside the weights.

    Raises:
        CheckpointError, DataError: see `open_source`, `read_model_config`, `read_tokenizer`.
    """
    source = open_source(path, kind)
    if isinstance(source, OwnCheckpoint):
        return own_origin(source, given)
    folder = path if path.is_dir() else path.parent
    described = config_file or find_config(folder)
    settings = read_model_config(described) if described else None
    files = architecture_of(settings).tokenizer if settings else None
    tokenizer = read_tokenizer(folder, files, given)
    settings = with_parts_of(settings, source) if settings else None
    return Origin(source, settings, tokenizer, kind=named_architecture(described))


def with_parts_of(settings: AnySettings, source: TensorSource) -> AnySettings:
    """Return the settings with a pooler exactly if the source has one, where BERT has it.

    Raises:
        CheckpointError: no name in the source is known.
    """
    if not isinstance(settings, BertModelConfig):
        return settings
    bert = architecture_of(settings)
    everything = settings.model_copy(update={"add_pooling_layer": True})
    wanted = bert.parameters(everything, settings.vocab_size or 1)
    table = choose_table(bert.tables, source, wanted)
    names = table.canonical(source.tensors)
    pooler = [
        recipe.theirs in names
        for ours, recipe in recipes_of(table, wanted).items()
        if ours.startswith(POOLER)
    ]
    return settings.model_copy(update={"add_pooling_layer": any(pooler)})


def match_origin(
    origin: Origin,
    allowances: Allowances,
    resized: frozenset[str] = frozenset(),
) -> Match:
    """Pair the tensors of an origin with the parameters that its settings describe.

    Raises:
        CheckpointError: nothing describes the model, or see `match`.
    """
    if origin.settings is None:
        raise CheckpointError(
            f"{origin.source.path}: the file does not say how many attention heads and so on its "
            "model has; name its config.json or bert_config.json with --model_config"
        )
    if not origin.settings.vocab_size:
        raise CheckpointError(f"{origin.source.path}: the size of its vocabulary is not known")
    model = origin.architecture
    wanted = model.parameters(origin.settings, origin.settings.vocab_size)
    if not isinstance(origin.source, OwnCheckpoint | AveragedCheckpoints):
        missing = (*allowances.missing, *model.may_be_new)
        allowances = replace(allowances, missing=missing)
    found = match(origin.source, model.tables, wanted, allowances, resized)
    tokens = origin.tokenizer.tokens if origin.tokenizer else []
    if len(tokens) > origin.settings.vocab_size:
        raise CheckpointError(
            f"{origin.source.path}: the vocabulary has {len(tokens)} tokens, the model "
            f"{origin.settings.vocab_size} rows for them; they do not belong together"
        )
    return found


def own_origin(
    source: OwnCheckpoint | AveragedCheckpoints, given: GivenTokenizer = NOTHING_GIVEN
) -> Origin:
    """Return a checkpoint of ours, or the mean of several, with what its run says about it.

    Raises:
        CheckpointError: the vocabulary is another one than it was trained with.
    """
    checkpoint = source.checkpoint
    try:
        config = RunConfig.model_validate(checkpoint.config)
    except ValidationError as error:
        raise CheckpointError(
            f"{checkpoint.path}: its configuration is of another version of mindmlm "
            f"({checkpoint.manifest.created_by} wrote it): {error.errors()[0]['msg']}"
        ) from None
    section = config.processor.tokenizer
    beside = checkpoint.path.parent.parent
    if section.type == BERT and given.do_lower_case is None:
        given = replace(given, do_lower_case=section.do_lower_case)
    tokenizer = read_tokenizer(beside, section.type, given)
    expected = checkpoint.state.get("tokenizer_fingerprint")
    if tokenizer and expected and tokenizer.fingerprint() != expected:
        raise CheckpointError(
            f"{source.path}: was trained with another vocabulary than "
            f"{given.vocab_file or beside}; name the right one with --vocab_file"
        )
    word = source.tensors.get(architecture_of(config.model.settings).word)
    rows = word.shape[0] if word else None
    settings = config.model.settings.model_copy(update={"vocab_size": rows})
    return Origin(source, settings, tokenizer, checkpoint.config, config.model.arch.type)
