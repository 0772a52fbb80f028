"""Which consecutive parts of a model each pipeline stage holds. Pure."""

from collections.abc import Sequence
from itertools import accumulate, pairwise


def balance(costs: Sequence[float], stages: int) -> list[tuple[int, int]]:
    """Cut a chain of parts into stages so that the slowest stage is as fast as possible.

    A pipeline runs at the speed of its slowest stage, so the largest sum of costs counts. Among
    the cuts that are equally good in that, the one with the most even numbers of parts is taken
    (smallest sum of squares, which is memory too), and among those the one whose earlier stages
    are shorter: they hold the activations of more micro-batches.

    Args:
        costs: cost of each part in the order of the forward pass, none negative; any unit,
            for instance multiplications of forward and backward pass. Embeddings and head are parts
            of their own or belong to the first and the last layer's cost.
        stages: number of stages; each gets at least one part.

    Returns:
        ``stages`` pairs (start, stop) that cover ``range(len(costs))`` in order.

    Raises:
        ValueError: fewer parts than stages, no stage, or a negative cost.
    """
    if not 1 <= stages <= len(costs):
        raise ValueError(f"{len(costs)} parts cannot be cut into {stages} stages of at least one")
    if min(costs) < 0:
        raise ValueError(f"a cost is negative: {list(costs)}")
    slowest = _smallest_maximum(costs, stages)
    return _most_even(costs, stages, slowest)


def _smallest_maximum(costs: Sequence[float], stages: int) -> float:
    """The largest stage cost of the best cut, by dynamic programming over (stages, parts)."""
    sums = [0.0, *accumulate(costs)]
    count = len(costs)
    best = sums[:]
    for _ in range(1, stages):
        best = [
            min(
                (max(best[start], sums[stop] - sums[start]) for start in range(stop)),
                default=0.0,
            )
            for stop in range(count + 1)
        ]
    return best[count]


def _most_even(costs: Sequence[float], stages: int, slowest: float) -> list[tuple[int, int]]:
    """The cut with the smallest sum of squared lengths among those not slower than `slowest`."""
    sums = [0.0, *accumulate(costs)]
    count = len(costs)
    # cuts[stop]: (sum of squares, lengths of the stages) of the best cut of the first `stop` parts.
    cuts: dict[int, tuple[int, tuple[int, ...]]] = {0: (0, ())}
    for _ in range(stages):
        longer = {}
        for stop in range(1, count + 1):
            ends = [
                (squares + (stop - start) ** 2, (*lengths, stop - start))
                for start, (squares, lengths) in cuts.items()
                if start < stop and sums[stop] - sums[start] <= slowest
            ]
            if ends:
                longer[stop] = min(ends)
        cuts = longer
    borders = [0, *accumulate(cuts[count][1])]
    return list(pairwise(borders))
