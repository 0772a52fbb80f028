"""ELECTRA's discriminator and generator, which transformers keeps in two folders, as one model."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from mindmlm.config.schema.electra import ElectraModelConfig
from mindmlm.conversion.electra_config import electra_settings
from mindmlm.conversion.json_files import read_json_object
from mindmlm.conversion.model_config import find_config
from mindmlm.conversion.origin import Origin
from mindmlm.conversion.readers.own import OwnCheckpoint
from mindmlm.conversion.recognise import open_source
from mindmlm.conversion.source import TensorInfo, TensorSource
from mindmlm.conversion.tables.electra import GENERATOR_PREFIX
from mindmlm.errors import CheckpointError

# What the generator's description must say of itself: as here, or as the discriminator's.
_OF_THE_GENERATOR = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
_OF_BOTH = (
    "vocab_size",
    "embedding_size",
    "max_position_embeddings",
    "type_vocab_size",
    "hidden_act",
    "layer_norm_eps",
)


class PairOfSources:
    """Tensors of two sources; the names of the generator's begin with `GENERATOR_PREFIX`."""

    def __init__(self, discriminator: TensorSource, generator: TensorSource) -> None:
        self._discriminator = discriminator
        self._generator = generator
        self.path = discriminator.path
        self.format = discriminator.format
        self.tensors: Mapping[str, TensorInfo] = {
            **discriminator.tensors,
            **{GENERATOR_PREFIX + name: info for name, info in generator.tensors.items()},
        }

    def read(self, name: str) -> np.ndarray:
        """Return a tensor; see `TensorSource`."""
        if name.startswith(GENERATOR_PREFIX):
            return self._generator.read(name.removeprefix(GENERATOR_PREFIX))
        return self._discriminator.read(name)


def with_generator(origin: Origin, folder: Path) -> Origin:
    """Return the discriminator of an origin together with the generator of a folder.

    Args:
        origin: a discriminator of another library, with its description.
        folder: of Hugging Face's `ElectraForMaskedLM`.

    Raises:
        CheckpointError: either is something else, or they do not belong together.
    """
    settings = origin.settings
    if not isinstance(settings, ElectraModelConfig) or isinstance(origin.source, OwnCheckpoint):
        raise CheckpointError(
            f"--generator: goes with --input of a discriminator of Hugging Face (model_type "
            f"electra), which {origin.source.path} is not"
        )
    described = find_config(folder)
    if described is None:
        raise CheckpointError(f"--generator {folder}: it has no config.json")
    generator = electra_settings(read_json_object(described), str(described))
    joined = settings.model_copy(
        update={
            "generator_hidden_size": generator.hidden_size / settings.hidden_size,
            "generator_layers": generator.num_hidden_layers / settings.num_hidden_layers,
        }
    )
    _check_fit(joined, generator, described)
    source = PairOfSources(origin.source, open_source(folder))
    return replace(origin, source=source, settings=joined)


def _check_fit(joined: ElectraModelConfig, found: ElectraModelConfig, where: Path) -> None:
    network = joined.generator()
    expected = {name: getattr(network, name) for name in _OF_THE_GENERATOR}
    expected |= {name: getattr(joined, name) for name in _OF_BOTH}
    for name, value in expected.items():
        if getattr(found, name) != value:
            raise CheckpointError(
                f"{where}: {name} is {getattr(found, name)}, and beside this discriminator it has "
                f"to be {value}; they do not belong together, or the generator has a shape that "
                "google-research/electra does not make"
            )
