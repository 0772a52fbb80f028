"""What one forward and backward pass is fed with. Pure."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class MicroBatch:
    """Inputs of one forward and backward pass, in the order of the loss.

    Args:
        inputs: arrays of the task.
        keeps: dropout masks of the layers that are on this rank.
        weight: number of positions that count in the loss.
        tokens: number of tokens that are not padding.
        rows: samples times positions, the rows of the activations.
    """

    inputs: tuple[np.ndarray, ...]
    keeps: tuple[np.ndarray, ...]
    weight: float
    tokens: int
    rows: int
