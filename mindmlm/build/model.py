"""A model on one rank: built, cut, and filled with its blocks of the weights."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial

import mindspore as ms
import numpy as np
from mindspore import Parameter, nn
from mindspore.nn.utils import no_init_parameters

from mindmlm.build.families import family_of
from mindmlm.checkpoint import Checkpoint
from mindmlm.config.schema import RunConfig
from mindmlm.conversion.starting_point import ForeignCheckpoint
from mindmlm.errors import CheckpointError, ConfigError
from mindmlm.models.initialization import initial_value
from mindmlm.models.spans import Span
from mindmlm.parallel.division import Block, Division
from mindmlm.parallel.parallelize import divide_model
from mindmlm.parallel.place import Place
from mindmlm.parallel.stages import stage_bounds
from mindmlm.tokenizers.base import Tokenizer
from mindmlm.tokenizers.vocab_extension import extend_rows, pieces_of_new_tokens

_INITIAL_THREADS = 2


@dataclass
class ModelOnRank:
    """The part of a model that one process has.

    Args:
        cell: the layers of its stage, cut for its place in the model axis.
        place: of the process.
        division: which blocks of the tensors it has.
        shapes: whole shape of every parameter of its stage by name.
        vocab_size: rows of the word embedding.
        names: of the parameters of all stages.
    """

    cell: nn.Cell
    place: Place
    division: Division
    shapes: dict[str, tuple[int, ...]]
    vocab_size: int
    names: frozenset[str]

    @property
    def span(self) -> Span:
        """Its layers."""
        span: Span = self.cell.span
        return span

    def parameters(self) -> list[Parameter]:
        """All of its parameters."""
        return list(self.cell.get_parameters())

    def blocks(self) -> dict[str, Block]:
        """Which block of each weight is here."""
        return {name: self.division.weight(name, shape) for name, shape in self.shapes.items()}

    def number_of_parameters(self) -> int:
        """Values in all parameters that this rank answers for; summed over ranks, the model's."""
        return sum(
            self.division.weight(name, shape).size
            for name, shape in self.shapes.items()
            if self.division.answers_for_weight(name)
        )


def build_model(config: RunConfig, tokenizer: Tokenizer, place: Place | None = None) -> ModelOnRank:
    """The model with its initial values.

    Args:
        config: of the run.
        tokenizer: says how many rows the word embedding has, unless the configuration does.
        place: of this process; alone by default.

    Raises:
        ConfigError: the embedding has fewer rows than the tokenizer has tokens.
    """
    return model_with_rows(config, vocabulary_rows(config, tokenizer), place or Place.alone())


def vocabulary_rows(config: RunConfig, tokenizer: Tokenizer) -> int:
    """Rows of the word embedding.

    Raises:
        ConfigError: the configuration asks for fewer than the tokenizer has tokens.
    """
    vocab_size = config.model.settings.vocab_size or tokenizer.vocab_size
    if vocab_size < tokenizer.vocab_size:
        raise ConfigError(
            f"model.model_config.vocab_size: {vocab_size} is less than the {tokenizer.vocab_size} "
            "tokens of the vocabulary; use null for the tokenizer's size, or a larger number"
        )
    return vocab_size


def model_with_rows(config: RunConfig, vocab_size: int, place: Place) -> ModelOnRank:
    """The model with its initial values and a word embedding of `vocab_size` rows."""
    model = _divided(config, vocab_size, place)
    initialise(model, config)
    return model


def _divided(config: RunConfig, vocab_size: int, place: Place) -> ModelOnRank:
    """The model without values: no tensor of it exists whole."""
    family, settings = family_of(config), config.model.settings
    plan = family.tensor_plan
    if not config.parallel_config.vocab_emb_dp:
        plan = plan + family.vocabulary_plan
    with no_init_parameters():
        cell = family.model(settings, vocab_size, _span(config, vocab_size, place))
        whole = family.model(settings, vocab_size)
    names = frozenset(value.name for value in whole.get_parameters())
    shapes = {value.name: tuple(value.shape) for value in cell.get_parameters()}
    divide_model(cell, plan, place.model, vocab_size)
    division = Division(place.layout, place.rank, plan, config.optimizer_parallel, family.tied)
    return ModelOnRank(cell, place, division, shapes, vocab_size, names)


def _span(config: RunConfig, vocab_size: int, place: Place) -> Span:
    """The layers of the stage."""
    settings, length = config.model.settings, config.train_dataset.max_seq_length
    bounds = stage_bounds(settings, vocab_size, length, place.layout.pipeline_stage)
    return Span(*bounds[place.at.stage], settings.num_hidden_layers)


def initialise(model: ModelOnRank, config: RunConfig) -> None:
    """Give every parameter its block of the initial value, which no layout changes."""
    family, settings = family_of(config), config.model.settings

    def block(value: Parameter) -> np.ndarray:
        whole = model.shapes[value.name]
        deviation = family.initial_deviation(settings, value.name)
        start = initial_value(value.name, whole, config.seed, deviation)
        return np.ascontiguousarray(start[model.division.weight(value.name, whole).slices])

    parameters = list(model.parameters())
    # numpy draws without holding Python's lock, so threads help.
    with ThreadPoolExecutor(max_workers=_INITIAL_THREADS) as threads:
        for value, start in zip(parameters, threads.map(block, parameters), strict=True):
            value.set_data(ms.Tensor(start), slice_shape=True)


def load_model(
    model: ModelOnRank,
    checkpoint: Checkpoint | ForeignCheckpoint,
    resize: Mapping[str, Callable[[np.ndarray], np.ndarray]] | None = None,
    left_out: Sequence[str] = (),
) -> None:
    """Fill the model with its blocks of a checkpoint's weights; see `load_tensors`.

    Args:
        model: keeps its values of what is left out.
        checkpoint, resize: see `load_tensors`.
        left_out: patterns of names (`head.*`) that the two need not have in common.
    """
    values = [value for value in model.parameters() if not _is_one_of(value.name, left_out)]
    others = {name for name in checkpoint.records("model") if _is_one_of(name, left_out)}
    load_tensors(values, model.blocks(), checkpoint, "model", model.names | others, resize)


def _is_one_of(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def load_tensors(
    parameters: Iterable[Parameter],
    blocks: Mapping[str, Block],
    checkpoint: Checkpoint | ForeignCheckpoint,
    group: str,
    elsewhere: Collection[str] = (),
    resize: Mapping[str, Callable[[np.ndarray], np.ndarray]] | None = None,
) -> None:
    """Fill every parameter with its block of a tensor of the checkpoint, strictly.

    Args:
        parameters: all of the model or the optimizer on this rank.
        blocks: which block each of them is, by name.
        checkpoint: where the tensors are.
        group: "model" or "optimizer".
        elsewhere: names that other ranks have; any other tensor left over is an error.
        resize: name -> what makes the whole value of the checkpoint's, which may have another
            shape; see `vocabulary_extension`.

    Raises:
        CheckpointError: a tensor is missing, left over, or of another shape.
    """
    resize = resize or {}
    by_name = {value.name: value for value in parameters}
    by_block = {name: blocks[name] for name in by_name}
    _check_tensors(by_block, checkpoint, group, elsewhere, resize)
    wanted = {
        name: Block.all_of(checkpoint.shape(group, name)) if name in resize else block
        for name, block in by_block.items()
    }
    bounds = {name: block.slices for name, block in wanted.items()}
    for name, array in checkpoint.blocks(group, bounds):
        if name in resize:
            array = np.ascontiguousarray(resize[name](array)[by_block[name].slices])
        by_name[name].set_data(ms.Tensor(array), slice_shape=True)


def _check_tensors(
    blocks: Mapping[str, Block],
    checkpoint: Checkpoint | ForeignCheckpoint,
    group: str,
    elsewhere: Collection[str],
    resized: Collection[str],
) -> None:
    names = checkpoint.records(group)
    known = {*blocks, *elsewhere}
    problems = [f"missing: {name}" for name in blocks if name not in names]
    problems += [f"not in this model: {name}" for name in names if name not in known]
    for name, block in blocks.items():
        if name not in names or name in resized:
            continue
        found = checkpoint.shape(group, name)
        if found != block.whole:
            problems.append(f"{name}: {list(found)} in the checkpoint, {list(block.whole)} here")
    if problems:
        shown = "\n  ".join(problems[:8])
        more = f"\n  ... and {len(problems) - 8} more" if len(problems) > 8 else ""
        raise CheckpointError(
            f"{checkpoint.path}: the weights do not fit the model of this configuration (is "
            f"--config the one it was trained with?):\n  {shown}{more}"
        )


def vocabulary_extension(
    model: ModelOnRank, config: RunConfig, old: Sequence[str], new: Sequence[str]
) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """What `load_tensors` needs when the vocabulary has grown from `old` to `new`.

    Rows of new tokens are the mean of the rows of the pieces they were divided into before.
    """
    pieces, family = pieces_of_new_tokens(old, new), family_of(config)

    def initial(name: str) -> np.ndarray:
        deviation = family.initial_deviation(config.model.settings, name)
        return initial_value(name, model.shapes[name], config.seed, deviation)

    return {
        name: partial(extend_rows, initial=initial(name), old_size=len(old), pieces=pieces)
        for name in family.vocabulary_rows
        if name in model.shapes
    }
