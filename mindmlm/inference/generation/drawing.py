"""Drawing tokens, each draw a function of the seed and of where it is."""

import numpy as np

from mindmlm.inference.generation.filters import probabilities


def uniform(seed: int, sequence: int, step: int) -> float:
    """The number in [0, 1) that draws token `step` of sequence `sequence`.

    Numbers of sequences count over the whole call, so a batch size changes no draw.
    """
    key = np.array([seed, sequence], np.uint64)
    bits = np.random.Philox(key=key, counter=np.array([0, step, 0, 0], np.uint64))
    return float(np.random.Generator(bits).random())


def draw(logits: np.ndarray, at: float) -> int:
    """The token whose interval of the cumulated probabilities holds `at`.

    Args:
        logits: float32 [vocab]; -inf is never drawn.
        at: from `uniform`.
    """
    ids = np.flatnonzero(np.isfinite(logits))
    cumulated = np.cumsum(probabilities(logits[ids]))
    place = np.searchsorted(cumulated, at * cumulated[-1], side="right")
    return int(ids[min(int(place), len(ids) - 1)])
