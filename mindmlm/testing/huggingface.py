"""The same weights in Hugging Face's BERT and in ours, for parity tests and benchmarks."""

from collections.abc import Mapping

import numpy as np

_PREFIXES = {
    "bert.embeddings.word": "bert.embeddings.word_embeddings.weight",
    "bert.embeddings.position": "bert.embeddings.position_embeddings.weight",
    "bert.embeddings.token_type": "bert.embeddings.token_type_embeddings.weight",
    "bert.embeddings.norm": "bert.embeddings.LayerNorm",
    "bert.pooler": "bert.pooler.dense",
    "head.dense": "cls.predictions.transform.dense",
    "head.norm": "cls.predictions.transform.LayerNorm",
    "head.bias": "cls.predictions.bias",
}
_LAYER_PARTS = {
    "attention.query": "attention.self.query",
    "attention.key": "attention.self.key",
    "attention.value": "attention.self.value",
    "attention.output": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "intermediate": "intermediate.dense",
    "output": "output.dense",
    "output_norm": "output.LayerNorm",
}


def huggingface_name(name: str) -> str:
    """Hugging Face's name of our parameter `name` (a post-layer-norm BertForMaskedLM's)."""
    if name.startswith("bert.layers."):
        number, rest = name.removeprefix("bert.layers.").split(".", 1)
        part, kind = rest.rsplit(".", 1)
        return f"bert.encoder.layer.{number}.{_LAYER_PARTS[part]}.{kind}"
    if name in _PREFIXES:
        return _PREFIXES[name]
    part, kind = name.rsplit(".", 1)
    return f"{_PREFIXES[part]}.{kind}"


def from_huggingface(state: Mapping[str, np.ndarray], names: list[str]) -> dict[str, np.ndarray]:
    """Values of our parameters `names` out of a Hugging Face state of numpy arrays."""
    return {name: np.asarray(state[huggingface_name(name)]) for name in names}
