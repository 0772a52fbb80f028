"""BERT's `config.json` (transformers) and `bert_config.json` (Google), and our model section."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mindmlm.config.schema.bert import BertModelConfig
from mindmlm.conversion.json_files import read_json_object
from mindmlm.errors import CheckpointError

CONFIG_NAMES = ("config.json", "bert_config.json")
# Ours -> theirs; the two names are the same unless said so here.
_SAME_KEYS = (
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
_REQUIRED = _SAME_KEYS[:5]
_ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "relu": "relu",
}
_ACTIVATION_NAMES = {"gelu": "gelu", "gelu_tanh": "gelu_new", "relu": "relu"}
# Keys that would change what the model computes, with the one value that is BERT here.
_FIXED = {
    "position_embedding_type": "absolute",
    "is_decoder": False,
    "add_cross_attention": False,
    "tie_word_embeddings": True,
}
DEFAULT_LAYER_NORM_EPS = 1e-12


def find_config(folder: Path) -> Path | None:
    """Return the description of the model in a folder, or None."""
    return next((folder / name for name in CONFIG_NAMES if (folder / name).is_file()), None)


def read_model_config(path: Path) -> BertModelConfig:
    """Return the settings that a `config.json` or `bert_config.json` describes.

    Google's file has no epsilon; its code uses 1e-12. ``gelu`` is taken as the exact form, as
    transformers takes it.

    Raises:
        CheckpointError: another architecture, a missing key, or something that BERT here cannot do.
    """
    content = read_json_object(path)
    kind = content.get("model_type", "bert")
    if kind != "bert":
        raise CheckpointError(
            f"{path}: model_type is {kind!r}; only 'bert' can be converted so far"
        )
    return bert_settings(content, str(path))


def bert_settings(content: Mapping[str, Any], where: str) -> BertModelConfig:
    """Return the settings for the keys of transformers' `BertConfig`; ``where`` names the source.

    Raises:
        CheckpointError: see `read_model_config`.
    """
    missing = [key for key in _REQUIRED if key not in content]
    if missing:
        raise CheckpointError(f"{where}: {', '.join(missing)} missing; is this a model's config?")
    for key, value in _FIXED.items():
        if content.get(key, value) != value:
            raise CheckpointError(
                f"{where}: {key} is {content[key]!r}; the BERT here computes with {value!r} only"
            )
    activation = content.get("hidden_act", "gelu")
    if activation not in _ACTIVATIONS:
        raise CheckpointError(
            f"{where}: hidden_act is {activation!r}; known are {', '.join(_ACTIVATIONS)}"
        )
    known = {key: content[key] for key in _SAME_KEYS if key in content}
    known["hidden_act"] = _ACTIVATIONS[activation]
    known["layer_norm_eps"] = content.get("layer_norm_eps", DEFAULT_LAYER_NORM_EPS)
    try:
        return BertModelConfig.model_validate(known)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise CheckpointError(f"{where}: {key}: {first['msg']}") from None


def huggingface_config(
    settings: BertModelConfig, vocab_size: int, pad_token_id: int | None
) -> dict[str, Any]:
    """Return the `config.json` of transformers' `BertForMaskedLM` with these settings.

    Raises:
        CheckpointError: the model is one that transformers has no code for.
    """
    if not settings.post_layernorm_residual:
        raise CheckpointError(
            "post_layernorm_residual: False: transformers has no BERT with layer norms before the "
            "sub-layers, so this model cannot be written for it"
        )
    same = {key: getattr(settings, key) for key in _SAME_KEYS}
    return {
        "architectures": ["BertForMaskedLM"],
        "model_type": "bert",
        **same,
        "vocab_size": vocab_size,
        "hidden_act": _ACTIVATION_NAMES[settings.hidden_act],
        "layer_norm_eps": settings.layer_norm_eps,
        "pad_token_id": pad_token_id,
        "position_embedding_type": "absolute",
        "torch_dtype": "float32",
    }
