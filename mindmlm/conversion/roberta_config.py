"""RoBERTa's keys in `config.json` (transformers)."""

from collections.abc import Mapping
from typing import Any

from mindmlm.config.schema.roberta import RobertaModelConfig
from mindmlm.conversion.bert_config import FIXED, REQUIRED, SAME_KEYS, check_post_norm
from mindmlm.conversion.settings_checks import (
    ACTIVATION_NAMES,
    activation_of,
    check_fixed,
    check_required,
    validated,
)

# What an absent key means to transformers' `RobertaConfig`.
_DEFAULTS = {
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
    "layer_norm_eps": 1e-12,
}
# Special tokens as everywhere in fairseq. Positions are counted from the id of <pad>.
_SPECIAL = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2}


def roberta_settings(content: Mapping[str, Any], where: str) -> RobertaModelConfig:
    """Return the settings for the keys of transformers' `RobertaConfig`; ``where`` names the file.

    Raises:
        CheckpointError: a key is missing, or asks for something that RoBERTa here cannot do.
    """
    check_required(content, REQUIRED, where)
    check_fixed(content, {**FIXED, **_SPECIAL}, where, "RoBERTa")
    known = {**_DEFAULTS, **{key: content[key] for key in SAME_KEYS if key in content}}
    known["hidden_act"] = activation_of(content, "hidden_act", "gelu", where)
    known["layer_norm_eps"] = content.get("layer_norm_eps", known["layer_norm_eps"])
    return validated(RobertaModelConfig, known, where)


def roberta_config(settings: RobertaModelConfig, vocab_size: int) -> dict[str, Any]:
    """Return the `config.json` of transformers' `RobertaForMaskedLM` with these settings.

    Raises:
        CheckpointError: the model is one that transformers has no code for.
    """
    check_post_norm(settings, "RoBERTa")
    return {
        "architectures": ["RobertaForMaskedLM"],
        "model_type": "roberta",
        **{key: getattr(settings, key) for key in SAME_KEYS},
        **_SPECIAL,
        "vocab_size": vocab_size,
        "hidden_act": ACTIVATION_NAMES[settings.hidden_act],
        "layer_norm_eps": settings.layer_norm_eps,
        "position_embedding_type": "absolute",
        "torch_dtype": "float32",
    }
