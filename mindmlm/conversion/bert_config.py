"""BERT's keys in `config.json` (transformers) and `bert_config.json` (Google)."""

from collections.abc import Mapping
from typing import Any

from mindmlm.config.schema.bert import BertModelConfig
from mindmlm.conversion.settings_checks import (
    ACTIVATION_NAMES,
    activation_of,
    check_fixed,
    check_required,
    validated,
)
from mindmlm.errors import CheckpointError

# Ours -> theirs; the two names are the same unless said so here.
SAME_KEYS = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "hidden_dropout_prob",
    "attention_probs_dropout_prob",
    "max_position_embeddings",
    "type_vocab_size",
    "initializer_range",
)
REQUIRED = SAME_KEYS[:5]
# Keys that would change what the model computes, with the one value that is BERT here.
FIXED = {
    "position_embedding_type": "absolute",
    "is_decoder": False,
    "add_cross_attention": False,
    "tie_word_embeddings": True,
}
DEFAULT_LAYER_NORM_EPS = 1e-12


def bert_settings(content: Mapping[str, Any], where: str) -> BertModelConfig:
    """Return the settings for the keys of transformers' `BertConfig`; ``where`` names the source.

    Raises:
        CheckpointError: a key is missing, or asks for something that BERT here cannot do.
    """
    check_required(content, REQUIRED, where)
    check_fixed(content, FIXED, where, "BERT")
    known = {key: content[key] for key in SAME_KEYS if key in content}
    known["hidden_act"] = activation_of(content, "hidden_act", "gelu", where)
    known["layer_norm_eps"] = content.get("layer_norm_eps", DEFAULT_LAYER_NORM_EPS)
    return validated(BertModelConfig, known, where)


def bert_config(
    settings: BertModelConfig, vocab_size: int, pad_token_id: int | None
) -> dict[str, Any]:
    """Return the `config.json` of transformers' `BertForMaskedLM` with these settings.

    Raises:
        CheckpointError: the model is one that transformers has no code for.
    """
    check_post_norm(settings, "BERT")
    same = {key: getattr(settings, key) for key in SAME_KEYS}
    return {
        "architectures": ["BertForMaskedLM"],
        "model_type": "bert",
        **same,
        "vocab_size": vocab_size,
        "hidden_act": ACTIVATION_NAMES[settings.hidden_act],
        "layer_norm_eps": settings.layer_norm_eps,
        "pad_token_id": pad_token_id or 0,
        "position_embedding_type": "absolute",
        "torch_dtype": "float32",
    }


def check_post_norm(settings: BertModelConfig, model: str) -> None:
    """Refuse what transformers has no code for.

    Raises:
        CheckpointError: layer norms stand before the sub-layers.
    """
    if not settings.post_layernorm_residual:
        raise CheckpointError(
            f"post_layernorm_residual: False: transformers has no {model} with layer norms before "
            "the sub-layers, so this model cannot be written for it"
        )
