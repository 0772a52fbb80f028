"""The teacher of a distillation, and what a student takes over from it."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mindmlm.config.schema import RunConfig
from mindmlm.config.schema.bert import BertModelConfig
from mindmlm.conversion.architectures import BERT, POOLER
from mindmlm.conversion.converted_model import ConvertedModel, from_match
from mindmlm.conversion.matching import Allowances
from mindmlm.conversion.names import resolve_name
from mindmlm.conversion.origin import Origin, match_origin, open_origin
from mindmlm.conversion.starting_point import ForeignCheckpoint
from mindmlm.conversion.tokenizer_files import TokenizerFiles, tokenizer_keys
from mindmlm.errors import CheckpointError, ConfigError
from mindmlm.tokenizers.files import AnyTokenizer, load_tokenizer

_LAYER = re.compile(r"(bert\.layers\.)(\d+)(\..+)")
_SECTION, _MODEL = "distillation", "model.model_config"
# What must be alike where the student's layers start from the teacher's: shapes, and what the
# numbers mean.
_COPIED = (
    *("hidden_size", "intermediate_size", "num_attention_heads", "max_position_embeddings"),
    *("type_vocab_size", "hidden_act", "layer_norm_eps", "post_layernorm_residual"),
)


@dataclass(frozen=True)
class TeacherCheckpoint:
    """A `BertForMaskedLM` of any library, opened, without its pooler.

    Attributes:
        path: where it lies.
        settings: of the model, with `vocab_size` set.
        model: its parameters by our names, read when they are asked for.
        tokenizer: of the model.
    """

    path: Path
    settings: BertModelConfig
    model: ConvertedModel
    tokenizer: TokenizerFiles

    def weights(self) -> dict[str, np.ndarray]:
        """Every parameter, float32."""
        return {name: self._array(name) for name in self.model.shapes}

    def fingerprint(self) -> str:
        """Digest of names and values; the same for the same weights in any format."""
        digest = hashlib.blake2b(digest_size=16)
        for name in self.model.shapes:
            digest.update(name.encode())
            digest.update(self._array(name).tobytes())
        return digest.hexdigest()

    def _array(self, name: str) -> np.ndarray:
        return np.ascontiguousarray(self.model.checked(name), dtype=np.float32)


def open_teacher(config: RunConfig) -> TeacherCheckpoint:
    """Open the checkpoint that `distillation.teacher` names.

    Raises:
        CheckpointError, DataError: it is missing or damaged, or is no BERT that fills in blanks.
    """
    path = resolve_name(config.distillation.teacher)
    origin = open_origin(path)
    settings = origin.settings
    if isinstance(settings, BertModelConfig) and origin.architecture is not BERT:
        raise CheckpointError(_not_a_teacher(path, f"a {origin.architecture.name}"))
    if settings is not None and not isinstance(settings, BertModelConfig):
        raise CheckpointError(_not_a_teacher(path, f"a {settings.type}"))
    found = match_origin(origin, Allowances())
    assert settings is not None
    # Nothing may be missing, so nothing gets an initial value.
    model = from_match(found, seed=0, deviation=lambda name: 0.0)
    shapes = {name: shape for name, shape in model.shapes.items() if not name.startswith(POOLER)}
    model = ConvertedModel(shapes, model.read, model.report)
    settings = settings.model_copy(update={"add_pooling_layer": False})
    return TeacherCheckpoint(path, settings, model, _tokenizer_of(origin, config))


def _not_a_teacher(path: Path, what: str) -> str:
    return (
        f"{_SECTION}.teacher: {path} holds {what}; a teacher is a BertForMaskedLM, whose answers "
        "to blanks a student can learn"
    )


def _tokenizer_of(origin: Origin, config: RunConfig) -> TokenizerFiles:
    if origin.tokenizer is not None:
        return origin.tokenizer
    if config.processor.tokenizer.vocab_file:
        return TokenizerFiles(load_tokenizer(config.processor.tokenizer))
    raise CheckpointError(
        f"{_SECTION}.teacher: {origin.source.path} has no vocabulary beside it; name it with "
        "--vocab_file"
    )


def config_with_teacher(config: RunConfig, teacher: TeacherCheckpoint) -> RunConfig:
    """Return the configuration with the size of the teacher's vocabulary and its kind of text.

    Raises:
        ConfigError: the student and the teacher do not go together; every reason is listed.
    """
    problems = list(_differences(config, teacher))
    if problems:
        lines = "\n".join(problems)
        raise ConfigError(f"with the teacher {teacher.path}:\n{lines}")
    settings = config.model.settings.model_copy(update={"vocab_size": teacher.settings.vocab_size})
    keys = tokenizer_keys(teacher.tokenizer)
    tokenizer = config.processor.tokenizer.model_copy(update=keys)
    return config.model_copy(
        update={
            "model": config.model.model_copy(update={"settings": settings}),
            "processor": config.processor.model_copy(update={"tokenizer": tokenizer}),
        }
    )


def _differences(config: RunConfig, teacher: TeacherCheckpoint) -> Iterator[str]:
    ours, theirs, section = config.model.settings, teacher.settings, config.distillation
    if ours.vocab_size not in (None, theirs.vocab_size):
        yield (
            f"{_MODEL}.vocab_size: {ours.vocab_size}, and the teacher's is {theirs.vocab_size}; "
            "logits of different tokens cannot be compared, so use the teacher's, or null"
        )
    length = config.train_dataset.max_seq_length
    if length > theirs.max_position_embeddings:
        yield (
            f"train_dataset.max_seq_length: {length}, and the teacher reads at most "
            f"{theirs.max_position_embeddings} tokens"
        )
    if section.teacher_layers is not None:
        yield from _copy_differences(config, theirs)
    elif section.alpha_cos and ours.hidden_size != theirs.hidden_size:
        yield (
            f"{_MODEL}.hidden_size: {ours.hidden_size}, and the teacher's is {theirs.hidden_size}; "
            f"their hidden states have no cosine, so set {_SECTION}.alpha_cos: 0"
        )
    yield from _vocabulary_difference(config, teacher)


def _copy_differences(config: RunConfig, theirs: BertModelConfig) -> Iterator[str]:
    ours, chosen = config.model.settings, config.distillation.teacher_layers or []
    beyond = [layer for layer in chosen if layer >= theirs.num_hidden_layers]
    if beyond:
        yield (
            f"{_SECTION}.teacher_layers: {beyond} are not among the teacher's layers, which are 0 "
            f"to {theirs.num_hidden_layers - 1}"
        )
    for key in _COPIED:
        mine, other = getattr(ours, key), getattr(theirs, key)
        if mine != other:
            yield (
                f"{_MODEL}.{key}: {mine}, and the teacher's is {other}; with "
                f"{_SECTION}.teacher_layers the student starts from the teacher's weights, so use "
                "the teacher's value, or teacher_layers: null"
            )
    if getattr(ours, "add_pooling_layer", False):
        yield (
            f"{_MODEL}.add_pooling_layer: True, and distillation trains no pooler; use False, and "
            "add one when the student is fine-tuned"
        )


def _vocabulary_difference(config: RunConfig, teacher: TeacherCheckpoint) -> Iterator[str]:
    given = config.processor.tokenizer.vocab_file
    if given and load_tokenizer(config.processor.tokenizer).vocab != teacher.tokenizer.tokens:
        yield (
            f"processor.tokenizer.vocab_file: {given} is another vocabulary than the teacher's; "
            "leave it out, and the teacher's is used"
        )


def check_vocabulary(tokenizer: AnyTokenizer, teacher: TeacherCheckpoint) -> None:
    """Refuse a student whose ids mean other tokens than the teacher's.

    Raises:
        ConfigError: they do.
    """
    if tokenizer.fingerprint() != teacher.tokenizer.fingerprint():
        raise ConfigError(
            f"{_SECTION}.teacher: {teacher.path} has another vocabulary (or another "
            "processor.tokenizer.do_lower_case) than the student; logits of different tokens "
            "cannot be compared"
        )


def first_student(
    config: RunConfig, teacher: TeacherCheckpoint, names: Mapping[str, Any]
) -> ForeignCheckpoint | None:
    """Return the weights that the student starts from: chosen layers, embeddings and head.

    Args:
        config: as `config_with_teacher` gives it.
        teacher: opened.
        names: of the student's parameters.

    Returns:
        None where `teacher_layers` is null.
    """
    chosen = config.distillation.teacher_layers
    if chosen is None:
        return None
    from_teacher = {name: _name_in_teacher(name, chosen) for name in names}
    model = ConvertedModel(
        {ours: teacher.model.shapes[theirs] for ours, theirs in from_teacher.items()},
        lambda name: teacher.model.read(from_teacher[name]),
        teacher.model.report,
    )
    return ForeignCheckpoint(teacher.path, model, teacher.tokenizer)


def _name_in_teacher(name: str, chosen: list[int]) -> str:
    layer = _LAYER.fullmatch(name)
    return f"{layer[1]}{chosen[int(layer[2])]}{layer[3]}" if layer else name
