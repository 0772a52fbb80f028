"""The same weights in Hugging Face's BERT and in ours, for parity tests and benchmarks."""

from collections.abc import Mapping

import numpy as np

from mindmlm.conversion.architectures import BERT


def huggingface_name(name: str) -> str:
    """Hugging Face's name of our parameter `name` (a post-layer-norm BertForMaskedLM's)."""
    return BERT.table("huggingface").recipes([name])[name].theirs


def from_huggingface(state: Mapping[str, np.ndarray], names: list[str]) -> dict[str, np.ndarray]:
    """Values of our parameters `names` out of a Hugging Face state of numpy arrays."""
    return {name: np.asarray(state[huggingface_name(name)]) for name in names}
