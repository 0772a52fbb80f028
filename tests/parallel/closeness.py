"""How far two sets of tensors by name are from each other."""

import numpy as np


def is_key_bias(name):
    """Softmax does not change when all scores of a row do: the true gradient is zero."""
    return name.endswith("key.bias")


def far(mine, expected):
    """Largest relative distance by norm of two sets of tensors, and whose it is."""
    assert mine.keys() == expected.keys()
    distances = {
        name: np.linalg.norm((mine[name] - value).astype(np.float64)) / np.linalg.norm(value)
        for name, value in expected.items()
        if not is_key_bias(name)
    }
    return max((distance, name) for name, distance in distances.items())
