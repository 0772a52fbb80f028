"""A parameter that the first and the last stage both have: its gradient is the sum of theirs."""

from collections.abc import Collection, Sequence

import mindspore as ms

from mindmlm.parallel.collectives import Sum
from mindmlm.parallel.groups import Group


class SumTiedGradients:
    """Sum the gradients of tied parameters over the ends of the pipeline.

    Args:
        names: of the gradients, in order.
        tied: names of tied parameters.
        group: first and last rank of the pipeline, or this rank alone.
    """

    def __init__(self, names: Sequence[str], tied: Collection[str], group: Group) -> None:
        self._tied = [group.size > 1 and name in tied for name in names]
        self._sum = Sum(group)

    def __call__(self, gradients: Sequence[ms.Tensor]) -> tuple[ms.Tensor, ...]:
        """The gradients, in order."""
        return tuple(
            self._sum(gradient) if is_tied else gradient
            for gradient, is_tied in zip(gradients, self._tied, strict=True)
        )
