"""A parameter that the first and the last stage both have: its gradient is the sum of theirs."""

from collections.abc import Collection, Sequence

import mindspore as ms
from mindspore import nn

from mindmlm.parallel.collectives import Sum
from mindmlm.parallel.groups import Group


class SumTiedGradients(nn.Cell):
    """Sum the gradients of tied parameters over the ends of the pipeline.

    Args:
        names: of the gradients, in order.
        tied: names of tied parameters.
        group: first and last rank of the pipeline, or this rank alone.
    """

    def __init__(self, names: Sequence[str], tied: Collection[str], group: Group) -> None:
        super().__init__()
        self.tied = tuple(group.size > 1 and name in tied for name in names)
        self.sum = Sum(group)

    def construct(self, *gradients: ms.Tensor) -> tuple:
        """The gradients, in order."""
        results: tuple = ()
        for index in range(len(gradients)):
            gradient = gradients[index]
            results = (*results, self.sum(gradient) if self.tied[index] else gradient)
        return results
