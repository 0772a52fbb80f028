"""A network that somebody else has built, as the model of a run."""

import numpy as np
from mindspore import nn
from mindspore.nn.utils import no_init_parameters

from mindmlm.build.families import FAMILIES, family_of
from mindmlm.build.model import ModelOnRank
from mindmlm.config.schema import RunConfig
from mindmlm.errors import ConfigError
from mindmlm.parallel.division import Division
from mindmlm.parallel.place import Place
from mindmlm.tokenizers.base import Tokenizer


def architecture_of(cell: nn.Cell) -> str:
    """The `model.arch.type` of a network.

    Raises:
        ConfigError: it is none of ours.
    """
    for name, family in FAMILIES.items():
        if type(cell) is family.model:
            return name
    known = ", ".join(FAMILIES)
    raise ConfigError(f"model: {type(cell).__name__} is no network that can be trained: {known}")


def model_of_cell(
    cell: nn.Cell, config: RunConfig, tokenizer: Tokenizer, place: Place
) -> ModelOnRank:
    """The network itself, with the values it has, as this rank's model.

    Args:
        cell: whole, with its weights.
        config: of the run; describes the same network.
        tokenizer: has no more tokens than the network has rows.
        place: of this process.

    Raises:
        ConfigError: the network is not the configuration's, has no values yet, has too few rows, or
            would have to be cut.
    """
    if place.layout.model_parallel * place.layout.pipeline_stage > 1:
        raise ConfigError(
            "model: a network that exists whole cannot be cut by parallel_config.model_parallel "
            "or pipeline_stage; give its name or configuration, and its weights as a checkpoint"
        )
    family = family_of(config)
    parameters = {value.name: value for value in cell.get_parameters()}
    embedding = parameters[family.vocabulary_rows[0]]
    rows = embedding.shape[0]
    shapes = {name: tuple(value.shape) for name, value in parameters.items()}
    _check_shapes(shapes, config, rows)
    if rows < tokenizer.vocab_size:
        raise ConfigError(
            f"model: its word embedding has {rows} rows, and the tokenizer {tokenizer.vocab_size} "
            "tokens; use the tokenizer that belongs to it"
        )
    if not np.any(embedding.asnumpy()):
        raise ConfigError(
            "model: its weights are all zero; a network gets its first values from "
            "Trainer.build_network(), or load weights into it"
        )
    plan = family.tensor_plan
    division = Division(place.layout, place.rank, plan, config.optimizer_parallel, family.tied)
    return ModelOnRank(cell, place, division, shapes, rows, frozenset(shapes))


def _check_shapes(shapes: dict[str, tuple[int, ...]], config: RunConfig, rows: int) -> None:
    """Compare names and shapes of the parameters with those of the configuration's network."""
    with no_init_parameters():
        expected = family_of(config).model(config.model.settings, rows)
    wanted = {value.name: tuple(value.shape) for value in expected.get_parameters()}
    if shapes != wanted:
        name = next(key for key in {**wanted, **shapes} if shapes.get(key) != wanted.get(key))
        raise ConfigError(
            f"model: parameter {name} is {shapes.get(name)} in the network and "
            f"{wanted.get(name)} in the configuration (None: there is none)"
        )
