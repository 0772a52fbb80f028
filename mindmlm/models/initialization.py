"""Initial values of parameters: f(seed, name), so that any rank can make any of them alone."""

import hashlib

import numpy as np


def initial_value(
    name: str, shape: tuple[int, ...], seed: int, standard_deviation: float
) -> np.ndarray:
    """Value of the parameter called `name`, float32 [shape].

    Biases are 0, normalisation scales 1, everything else normal with mean 0 and the given standard
    deviation, as in BERT and GPT-2 (google-research/bert `create_initializer`, not truncated).
    """
    if name.endswith("bias"):
        return np.zeros(shape, np.float32)
    if name.endswith("norm.weight"):
        return np.ones(shape, np.float32)
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    key = np.array([seed & (2**64 - 1), int.from_bytes(digest, "little")], np.uint64)
    generator = np.random.Generator(np.random.Philox(key=key))
    return generator.standard_normal(shape, np.float32) * np.float32(standard_deviation)
