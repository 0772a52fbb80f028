"""Losses with a cheap forward and a cheap gradient; see `functional`."""

import mindspore as ms
from mindspore import nn, ops

from mindmlm.kernels import kernel, kernels_in_use
from mindmlm.models.functional import repeat_column


class WeightedCrossEntropy(nn.Cell):
    """Sum over rows of weight * -log softmax(logits)[label]."""

    def __init__(self) -> None:
        super().__init__()
        self.fused = kernels_in_use()
        if self.fused:
            self.forward = kernel("CrossEntropyForward")
            self.backward = kernel("CrossEntropyBackward")
        self.log_softmax = ops.LogSoftmax(-1)
        self.exp = ops.Exp()

    def construct(self, logits: ms.Tensor, labels: ms.Tensor, weights: ms.Tensor) -> tuple:
        """logits [rows, classes], labels int32 [rows], weights [rows] -> (sum [], log p).

        By a kernel the second one is p.
        """
        if self.fused:
            loss, probabilities = self.forward(logits, labels, weights)
            return ops.reshape(loss, ()), probabilities
        log_probabilities = self.log_softmax(logits)
        picked = ops.gather_elements(log_probabilities, 1, ops.reshape(labels, (-1, 1)))
        return -ops.sum(ops.reshape(picked, (-1,)) * weights), log_probabilities

    def bprop(
        self, logits: ms.Tensor, labels: ms.Tensor, weights: ms.Tensor, out: tuple, dout: tuple
    ) -> tuple:
        """dlogits = weight * (softmax - one-hot)."""
        if self.fused:
            dloss = ops.reshape(dout[0], (1,))
            dlogits = self.backward(out[1], labels, weights, dloss)
            return dlogits, ops.zeros_like(labels), ops.zeros_like(weights)
        row_scale = ops.reshape(weights * dout[0], (-1, 1))
        one_hot = ops.one_hot(
            labels, logits.shape[1], ms.Tensor(1.0, logits.dtype), ms.Tensor(0.0, logits.dtype)
        )
        dlogits = (self.exp(out[1]) - one_hot) * repeat_column(row_scale, logits.shape[1])
        return dlogits, ops.zeros_like(labels), ops.zeros_like(weights)


class WeightedBinaryCrossEntropy(nn.Cell):
    """Sum over rows of weight * -log p(label) with p(1) = sigmoid(logit)."""

    def __init__(self) -> None:
        super().__init__()
        self.sigmoid = ops.Sigmoid()

    def construct(self, logits: ms.Tensor, labels: ms.Tensor, weights: ms.Tensor) -> ms.Tensor:
        """All float32 [rows], labels 0 or 1 -> a scalar.

        log(1 + exp(x)) - x * label, written so that no exponential overflows.
        """
        softplus = ops.relu(logits) + ops.log1p(ops.exp(-ops.abs(logits)))
        return ops.sum((softplus - logits * labels) * weights)

    def bprop(
        self,
        logits: ms.Tensor,
        labels: ms.Tensor,
        weights: ms.Tensor,
        out: ms.Tensor,
        dout: ms.Tensor,
    ) -> tuple:
        """dlogits = weight * (sigmoid - label)."""
        dlogits = (self.sigmoid(logits) - labels) * weights * dout
        return dlogits, ops.zeros_like(labels), ops.zeros_like(weights)


class SoftTargetDivergence(nn.Cell):
    """Sum over rows of weight * T^2 * KL(teacher, student) at temperature T (Hinton et al., 2015).

    With weight 1 / rows it is `torch.nn.KLDivLoss(reduction="batchmean")` of the log-softmax of
    the student's logits / T and the softmax of the teacher's, times T^2.

    Args:
        temperature: T.
    """

    def __init__(self, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature
        self.log_softmax = ops.LogSoftmax(-1)
        self.exp = ops.Exp()
        self.matmul = ops.MatMul()

    def construct(self, logits: ms.Tensor, targets: ms.Tensor, weights: ms.Tensor) -> tuple:
        """Both [rows, classes], weights [rows] -> (sum [], log p of student, p of teacher)."""
        inverse = 1.0 / self.temperature
        ours, theirs = self.log_softmax(logits * inverse), self.log_softmax(targets * inverse)
        probabilities = self.exp(theirs)
        ones = ops.ones((logits.shape[1], 1), logits.dtype)
        rows = ops.reshape(self.matmul(probabilities * (theirs - ours), ones), (-1,))
        square = self.temperature * self.temperature
        return ops.sum(rows * weights) * square, ours, probabilities

    def bprop(
        self, logits: ms.Tensor, targets: ms.Tensor, weights: ms.Tensor, out: tuple, dout: tuple
    ) -> tuple:
        """dlogits = weight * T * (p of student - p of teacher); the teacher gets none."""
        scale = ops.reshape(weights * dout[0] * self.temperature, (-1, 1))
        dlogits = (self.exp(out[1]) - out[2]) * repeat_column(scale, logits.shape[1])
        return dlogits, ops.zeros_like(targets), ops.zeros_like(weights)


class CosineDistance(nn.Cell):
    """Sum over rows of weight * (1 - cosine), as `torch.nn.CosineEmbeddingLoss` with target 1."""

    def __init__(self) -> None:
        super().__init__()
        self.matmul = ops.MatMul()
        self.rsqrt = ops.Rsqrt()

    def construct(self, x: ms.Tensor, y: ms.Tensor, weights: ms.Tensor) -> ms.Tensor:
        """x, y [rows, columns], weights [rows] -> a scalar."""
        ones = ops.ones((x.shape[1], 1), x.dtype)
        products = self.matmul(x * y, ones)
        squares = (self.matmul(x * x, ones) + 1e-12) * (self.matmul(y * y, ones) + 1e-12)
        distances = 1.0 - products * self.rsqrt(squares)
        return ops.sum(ops.reshape(distances, (-1,)) * weights)
