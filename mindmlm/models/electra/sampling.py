"""Sampling tokens inside of the graph, from random numbers that are inputs."""

import mindspore as ms
from mindspore import nn, ops

# The square root of the usual vocabularies: what is summed up one by one is short.
_BLOCK = 256


class SampleTokens(nn.Cell):
    """Draws a token for each row from softmax(logits / temperature); no gradient goes through it.

    By inversion of the distribution function, in two steps (a block of the vocabulary, then a
    token of it), with a random number for each. ELECTRA's code adds Gumbel noise to every logit and
    takes the largest (`pretrain_helpers.sample_from_softmax`), which needs as many random numbers
    as there are logits; the distribution is the same, up to the rounding of float32.

    Args:
        temperature: divides the logits.
    """

    def __init__(self, temperature: float = 1.0) -> None:
        super().__init__()
        self.inverse_temperature = 1.0 / temperature
        self.softmax = ops.Softmax(-1)
        self.gather = ops.GatherNd()

    def construct(self, logits: ms.Tensor, draws: ms.Tensor) -> ms.Tensor:
        """Return the tokens.

        Args:
            logits: float32 [rows, vocab].
            draws: float32 [rows, 2], uniform in [0, 1); at most 1 - 2**-23, so that a number times
                a sum is less than the sum after rounding.

        Returns:
            int32 [rows].
        """
        rows, vocab = logits.shape
        blocks = (vocab + _BLOCK - 1) // _BLOCK
        probabilities = self.softmax(ops.stop_gradient(logits) * self.inverse_temperature)
        padding = blocks * _BLOCK - vocab
        if padding:
            nothing = ops.zeros((rows, padding), probabilities.dtype)
            probabilities = ops.concat((probabilities, nothing), 1)
        parts = ops.reshape(probabilities, (rows, blocks, _BLOCK))
        block = _first_above(ops.sum(parts, -1), draws[:, 0:1])
        place = ops.stack((ops.cast(ops.arange(0, rows, 1), ms.int32), block), 1)
        return block * _BLOCK + _first_above(self.gather(parts, place), draws[:, 1:2])


def _first_above(masses: ms.Tensor, draws: ms.Tensor) -> ms.Tensor:
    """For each row the first place where the sum of `masses` so far is above `draw` of the whole.

    Nothing without mass is ever taken. masses [rows, n], draws [rows, 1] -> int32 [rows].
    """
    sums = ops.cumsum(masses, 1)
    below = ops.less_equal(sums, sums[:, -1:] * draws)
    return ops.cast(ops.sum(ops.cast(below, ms.float32), 1), ms.int32)
