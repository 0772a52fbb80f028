"""What one forward and backward pass is fed with, and what its loss is made of. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class LossTerm:
    """A sum over something of a batch, divided by how much of it the global batch has.

    The loss of a step is the sum over its terms of `weight` * sum / count, where both the sum and
    the count are those of the whole global batch, whatever its micro-batches and ranks.

    Args:
        name: of its mean in `metrics.jsonl`.
        weight: factor in the loss; 0 = not a part of it, only measured. The Cell of the loss must
            then give it no gradient.
    """

    name: str
    weight: float = 1.0


ONE_TERM = (LossTerm("loss"),)


@dataclass(frozen=True)
class MicroBatch:
    """Inputs of one forward and backward pass, in the order of the loss.

    Args:
        inputs: arrays of the task.
        keeps: dropout masks of the layers that are on this rank.
        counts: how much each `LossTerm` sums over here, for example positions that are predicted.
        tokens: number of tokens that are not padding.
        rows: samples times positions, the rows of the activations.
    """

    inputs: tuple[np.ndarray, ...]
    keeps: tuple[np.ndarray, ...]
    counts: tuple[float, ...]
    tokens: int
    rows: int


def term_scales(terms: Sequence[LossTerm], counts: Sequence[float], factor: float) -> np.ndarray:
    """What the sum of each term is multiplied by before the backward pass, float64 [terms].

    Args:
        terms: of the loss.
        counts: of each over the global batch; nothing counts as 1.
        factor: of the whole loss, for example the loss scale.
    """
    weights = [term.weight or 1.0 for term in terms]
    return np.array(
        [factor * weight / max(1.0, count) for weight, count in zip(weights, counts, strict=True)]
    )


def term_means(
    terms: Sequence[LossTerm], values: Sequence[float], factor: float
) -> tuple[float, dict[str, float]]:
    """The loss, and the mean of every term by its name.

    Args:
        terms: of the loss.
        values: the sums times `term_scales`, added up over the global batch.
        factor: see `term_scales`.
    """
    parts = [value / factor for value in values]
    loss = sum(part for term, part in zip(terms, parts, strict=True) if term.weight)
    means = {
        term.name: part / (term.weight or 1.0) for term, part in zip(terms, parts, strict=True)
    }
    return loss, means
