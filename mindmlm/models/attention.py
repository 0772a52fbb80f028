"""Attention of all heads by one fused operator each way."""

import mindspore as ms
from mindspore import nn, ops

from mindmlm.kernels import kernel


class Attend(nn.Cell):
    """softmax(query key' / sqrt(size) + bias) value, head by head, with dropout of the softmax.

    The heads lie beside each other and are neither split nor joined; scores exist for a block of
    queries at a time, and keys that a block cannot see are skipped. The kernels are in
    `kernels/source/attention.cc`.

    Args:
        head_size: columns of one head.
        dropout: share of the probabilities that is dropped in training.
    """

    def __init__(self, head_size: int, dropout: float) -> None:
        super().__init__()
        self.head_size = head_size
        self.drops = dropout > 0.0
        settings = ms.Tensor([head_size**-0.5, 1.0 / (1.0 - dropout)], ms.float32)
        self.plain = _Attention(settings)
        self.dropped = _AttentionWithDropout(settings)

    def heads(self, x: ms.Tensor, sequence: int) -> ms.Tensor:
        """[batch * sequence, width] -> [batch, sequence, heads, size]; nothing is moved."""
        return ops.reshape(x, (-1, sequence, x.shape[1] // self.head_size, self.head_size))

    def construct(
        self,
        query: ms.Tensor,
        key: ms.Tensor,
        value: ms.Tensor,
        bias: ms.Tensor,
        keep: ms.Tensor | None,
    ) -> ms.Tensor:
        """Return the mixed values, [batch * sequence, width].

        Args:
            query, key, value: float32 [batch * sequence, width].
            bias: float32 [batch or 1, 1, sequence or 1, sequence].
            keep: bool [batch, heads, sequence, sequence]; not looked at outside training.
        """
        sequence = bias.shape[3]
        bias = ops.stop_gradient(bias)
        parts = self.heads(query, sequence), self.heads(key, sequence), self.heads(value, sequence)
        if self.training and self.drops:
            mixed = self.dropped(parts[0], parts[1], parts[2], bias, keep)[0]
        else:
            mixed = self.plain(parts[0], parts[1], parts[2], bias)[0]
        return ops.reshape(mixed, query.shape)


class _Attention(nn.Cell):
    """Without dropout. Outside training the probabilities are not kept."""

    def __init__(self, settings: ms.Tensor) -> None:
        super().__init__()
        self.settings = settings
        self.infer = kernel("Attention")
        self.forward = kernel("AttentionForward")
        self.backward = kernel("AttentionBackward")

    def construct(
        self, query: ms.Tensor, key: ms.Tensor, value: ms.Tensor, bias: ms.Tensor
    ) -> tuple:
        if self.training:
            return self.forward(query, key, value, bias, self.settings)
        return (self.infer(query, key, value, bias, self.settings),)

    def bprop(
        self,
        query: ms.Tensor,
        key: ms.Tensor,
        value: ms.Tensor,
        bias: ms.Tensor,
        out: tuple,
        dout: tuple,
    ) -> tuple:
        kept = out if self.training else self.forward(query, key, value, bias, self.settings)
        slopes = self.backward(query, key, value, bias, self.settings, kept[1], dout[0])
        return slopes[0], slopes[1], slopes[2], ops.zeros_like(bias)


class _AttentionWithDropout(nn.Cell):
    def __init__(self, settings: ms.Tensor) -> None:
        super().__init__()
        self.settings = settings
        self.forward = kernel("AttentionDropoutForward")
        self.backward = kernel("AttentionDropoutBackward")

    def construct(
        self,
        query: ms.Tensor,
        key: ms.Tensor,
        value: ms.Tensor,
        bias: ms.Tensor,
        keep: ms.Tensor,
    ) -> tuple:
        return self.forward(query, key, value, bias, self.settings, keep)

    def bprop(
        self,
        query: ms.Tensor,
        key: ms.Tensor,
        value: ms.Tensor,
        bias: ms.Tensor,
        keep: ms.Tensor,
        out: tuple,
        dout: tuple,
    ) -> tuple:
        slopes = self.backward(query, key, value, bias, self.settings, keep, out[1], dout[0])
        return slopes[0], slopes[1], slopes[2], ops.zeros_like(bias), ops.zeros_like(keep)
