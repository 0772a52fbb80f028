"""GPT-2's keys in `config.json` (transformers)."""

from collections.abc import Mapping
from typing import Any

from mindmlm.config.schema.gpt2 import GPT2ModelConfig
from mindmlm.conversion.settings_checks import (
    ACTIVATION_NAMES,
    activation_of,
    check_fixed,
    check_required,
    validated,
)

# Ours -> theirs.
_KEYS = {
    "vocab_size": "vocab_size",
    "hidden_size": "n_embd",
    "num_hidden_layers": "n_layer",
    "num_attention_heads": "n_head",
    "intermediate_size": "n_inner",
    "max_position_embeddings": "n_positions",
    "embedding_dropout_prob": "embd_pdrop",
    "hidden_dropout_prob": "resid_pdrop",
    "attention_probs_dropout_prob": "attn_pdrop",
    "layer_norm_eps": "layer_norm_epsilon",
    "initializer_range": "initializer_range",
}
_REQUIRED = ("vocab_size", "n_embd", "n_layer", "n_head", "n_positions")
# Keys that would change what the model computes, with the one value that is GPT-2 here.
_FIXED = {
    "scale_attn_weights": True,
    "scale_attn_by_inverse_layer_idx": False,
    "add_cross_attention": False,
    "tie_word_embeddings": True,
}


def gpt2_settings(content: Mapping[str, Any], where: str) -> GPT2ModelConfig:
    """Return the settings for the keys of transformers' `GPT2Config`; ``where`` names the source.

    Raises:
        CheckpointError: a key is missing, or asks for something that GPT-2 here cannot do.
    """
    check_required(content, _REQUIRED, where)
    check_fixed(content, _FIXED, where, "GPT-2")
    known = {ours: content[theirs] for ours, theirs in _KEYS.items() if theirs in content}
    known["hidden_act"] = activation_of(content, "activation_function", "gelu_new", where)
    return validated(GPT2ModelConfig, known, where)


def gpt2_config(
    settings: GPT2ModelConfig, vocab_size: int, end_token_id: int | None
) -> dict[str, Any]:
    """Return the `config.json` of transformers' `GPT2LMHeadModel` with these settings."""
    return {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        **{theirs: getattr(settings, ours) for ours, theirs in _KEYS.items()},
        **_FIXED,
        "vocab_size": vocab_size,
        "activation_function": ACTIVATION_NAMES[settings.hidden_act],
        "bos_token_id": end_token_id,
        "eos_token_id": end_token_id,
        "torch_dtype": "float32",
    }
