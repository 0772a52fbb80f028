"""What reading the description of a model checks, whatever the model."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import ValidationError

from mindmlm.config.schema.network import NetworkConfig
from mindmlm.errors import CheckpointError

Settings = TypeVar("Settings", bound=NetworkConfig)

# transformers' name -> ours
_ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "relu": "relu",
}
ACTIVATION_NAMES = {"gelu": "gelu", "gelu_tanh": "gelu_new", "relu": "relu"}
"""Our name -> transformers'."""


def check_required(content: Mapping[str, Any], required: Sequence[str], where: str) -> None:
    """Refuse a description without the keys that nothing can stand for.

    Raises:
        CheckpointError: a key is missing; ``where`` names the file.
    """
    missing = [key for key in required if key not in content]
    if missing:
        raise CheckpointError(f"{where}: {', '.join(missing)} missing; is this a model's config?")


def check_fixed(
    content: Mapping[str, Any], fixed: Mapping[str, Any], where: str, model: str
) -> None:
    """Refuse a description of something else than ``model`` computes here.

    Args:
        content: the description.
        fixed: key -> the one value that is possible, which an absent key means too.
        where: names the file.
        model: its name in the message.

    Raises:
        CheckpointError: a key has another value.
    """
    for key, value in fixed.items():
        if content.get(key, value) != value:
            raise CheckpointError(
                f"{where}: {key} is {content[key]!r}; the {model} here computes with {value!r} only"
            )


def activation_of(content: Mapping[str, Any], key: str, usual: str, where: str) -> str:
    """Return our name of the activation that a key names.

    Raises:
        CheckpointError: there is no such activation here.
    """
    activation = content.get(key, usual)
    if activation not in _ACTIVATIONS:
        raise CheckpointError(
            f"{where}: {key} is {activation!r}; known are {', '.join(_ACTIVATIONS)}"
        )
    return _ACTIVATIONS[activation]


def validated(kind: type[Settings], values: Mapping[str, Any], where: str) -> Settings:
    """Return settings of a kind.

    Raises:
        CheckpointError: a value is impossible.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise CheckpointError(f"{where}: {key}: {first['msg']}") from None
