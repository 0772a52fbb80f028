"""ELECTRA's keys in `config.json` (transformers)."""

from collections.abc import Mapping
from typing import Any

from mindmlm.config.schema.electra import ElectraModelConfig
from mindmlm.conversion.settings_checks import (
    ACTIVATION_NAMES,
    activation_of,
    check_fixed,
    check_required,
    validated,
)
from mindmlm.errors import CheckpointError

GENERATOR_MODEL = "ElectraForMaskedLM"
# The two names are the same.
_KEYS = (
    "vocab_size",
    "embedding_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "hidden_dropout_prob",
    "attention_probs_dropout_prob",
    "max_position_embeddings",
    "type_vocab_size",
    "initializer_range",
    "layer_norm_eps",
)
_REQUIRED = _KEYS[:6]
# Keys that would change what the model computes, with the one value that is ELECTRA here.
_FIXED = {
    "position_embedding_type": "absolute",
    "is_decoder": False,
    "add_cross_attention": False,
    "tie_word_embeddings": True,
}


def electra_settings(content: Mapping[str, Any], where: str) -> ElectraModelConfig:
    """Return the settings for the keys of transformers' `ElectraConfig`.

    ``where`` names the file, which describes one network, taken for the discriminator. It says
    nothing of the other one, whose keys have their defaults.

    Raises:
        CheckpointError: a key is missing, or asks for something that ELECTRA here cannot do.
    """
    check_required(content, _REQUIRED, where)
    check_fixed(content, _FIXED, where, "ELECTRA")
    known = {key: content[key] for key in _KEYS if key in content}
    known["hidden_act"] = activation_of(content, "hidden_act", "gelu", where)
    return validated(ElectraModelConfig, known, where)


def electra_config(
    settings: ElectraModelConfig, vocab_size: int, pad_token_id: int | None
) -> dict[str, Any]:
    """Return the `config.json` of transformers' `ElectraForPreTraining` with these settings."""
    return {
        "architectures": ["ElectraForPreTraining"],
        "model_type": "electra",
        **{key: getattr(settings, key) for key in _KEYS},
        "vocab_size": vocab_size,
        "hidden_act": ACTIVATION_NAMES[settings.hidden_act],
        "pad_token_id": pad_token_id or 0,
        "position_embedding_type": "absolute",
        "torch_dtype": "float32",
    }


def generator_settings(settings: ElectraModelConfig) -> ElectraModelConfig:
    """Return the settings that describe the generator as a network of its own.

    Raises:
        CheckpointError: transformers' generator has the exact GELU in its head, whatever the layers
            have.
    """
    if settings.hidden_act != "gelu":
        raise CheckpointError(
            f"hidden_act: {settings.hidden_act}: the head of transformers' {GENERATOR_MODEL} "
            "computes with gelu only, so this generator cannot be written for it"
        )
    network = settings.generator()
    names = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
    return settings.model_copy(update={name: getattr(network, name) for name in names})
