"""The same weights in Hugging Face's BERT and in ours, for parity tests and benchmarks."""

from collections.abc import Mapping

import numpy as np

from mindmlm.conversion.architectures import BERT, Architecture


def huggingface_name(name: str, architecture: Architecture = BERT) -> str:
    """Hugging Face's name of our parameter `name` (of a model with post-layer-norm)."""
    return architecture.table("huggingface").recipes([name])[name].theirs


def from_huggingface(
    state: Mapping[str, np.ndarray], names: list[str], architecture: Architecture = BERT
) -> dict[str, np.ndarray]:
    """Values of our parameters `names` out of a Hugging Face state of numpy arrays."""
    return {name: np.asarray(state[huggingface_name(name, architecture)]) for name in names}
