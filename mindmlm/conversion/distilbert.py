"""DistilBERT (Sanh et al., 2019): a BERT whose embeddings have no token types, and no pooler."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from mindmlm.config.schema.bert import BertModelConfig
from mindmlm.conversion import report as kinds
from mindmlm.conversion.converted_model import ConvertedModel
from mindmlm.conversion.settings_checks import (
    ACTIVATION_NAMES,
    activation_of,
    check_fixed,
    check_required,
    validated,
)
from mindmlm.errors import CheckpointError

ARCHITECTURE = "DistilBertForMaskedLM"
# Ours -> theirs.
_KEYS = {
    "vocab_size": "vocab_size",
    "hidden_size": "dim",
    "num_hidden_layers": "n_layers",
    "num_attention_heads": "n_heads",
    "intermediate_size": "hidden_dim",
    "hidden_dropout_prob": "dropout",
    "attention_probs_dropout_prob": "attention_dropout",
    "max_position_embeddings": "max_position_embeddings",
    "initializer_range": "initializer_range",
}
_REQUIRED = ("vocab_size", "dim", "n_layers", "n_heads", "hidden_dim")
# Sinusoidal embeddings are stored like learned ones, and transformers does not train them; here
# they would be trained.
_FIXED = {"sinusoidal_pos_embds": False, "tie_word_embeddings": True}
# Written into transformers' code.
_EPSILON = 1e-12
_POSITION, _TYPES = "bert.embeddings.position", "bert.embeddings.token_type"


def distilbert_settings(content: Mapping[str, Any], where: str) -> BertModelConfig:
    """Return the settings for the keys of transformers' `DistilBertConfig`.

    Raises:
        CheckpointError: a key is missing, or asks for something that BERT here cannot do.
    """
    check_required(content, _REQUIRED, where)
    check_fixed(content, _FIXED, where, "DistilBERT")
    known = {ours: content[theirs] for ours, theirs in _KEYS.items() if theirs in content}
    known["hidden_act"] = activation_of(content, "activation", "gelu", where)
    return validated(BertModelConfig, {**known, "type_vocab_size": 1}, where)


def distilbert_config(
    settings: BertModelConfig, vocab_size: int, pad_token_id: int | None
) -> dict[str, Any]:
    """Return the `config.json` of transformers' `DistilBertForMaskedLM` with these settings.

    Raises:
        CheckpointError: transformers' DistilBERT computes something else.
    """
    if not settings.post_layernorm_residual or settings.layer_norm_eps != _EPSILON:
        raise CheckpointError(
            "transformers' DistilBERT has layer norms behind the sub-layers, with an epsilon of "
            f"{_EPSILON:g}; this model has post_layernorm_residual "
            f"{settings.post_layernorm_residual} and layer_norm_eps {settings.layer_norm_eps:g}"
        )
    return {
        "architectures": [ARCHITECTURE],
        "model_type": "distilbert",
        **{theirs: getattr(settings, ours) for ours, theirs in _KEYS.items()},
        "vocab_size": vocab_size,
        "activation": ACTIVATION_NAMES[settings.hidden_act],
        "pad_token_id": pad_token_id or 0,
        "sinusoidal_pos_embds": False,
        "tie_weights_": True,
        "torch_dtype": "float32",
    }


def without_token_types(model: ConvertedModel) -> ConvertedModel:
    """Return a BERT as a DistilBERT has it: the first token type is added to every position.

    That changes nothing for texts of one segment. Other token types, and the pooler, are left out
    and reported.
    """
    gone = [name for name in model.shapes if name == _TYPES or name.startswith("bert.pooler.")]
    shapes = {name: shape for name, shape in model.shapes.items() if name not in gone}
    for name in gone:
        note = "DistilBERT has no pooler"
        if name == _TYPES:
            note = "the first one is added to the positions; second segments are not told apart"
        model.report.add(kinds.LEFT_OUT, ours=name, note=note)

    def read(name: str) -> np.ndarray:
        array = model.read(name)
        return array + model.read(_TYPES)[:1] if name == _POSITION else array

    return ConvertedModel(shapes, read, model.report)
