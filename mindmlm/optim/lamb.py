"""LAMB (You et al. 2020, "Large batch optimization for deep learning", for BERT in 76 minutes).

The variant is that of TensorFlow Addons (`tensorflow_addons/optimizers/lamb.py`): bias correction,
the identity for the paper's phi, and for what is not decayed (biases, normalisation) neither decay
nor layer adaptation. NVIDIA's BERT (`apex.optimizers.FusedLAMB`) does the same, after clipping the
norm of the whole gradient to 1, which `runner_wrapper.max_grad_norm` does here.
"""

from collections.abc import Sequence

import mindspore as ms
import numpy as np
from mindspore import Parameter, nn, ops

from mindmlm.optim.moments import MomentOptimizer, MomentSettings, is_decayed


class Lamb(MomentOptimizer):
    """One LAMB update of `parameters`, in place; see `MomentOptimizer`.

    With t updates done before this one, for each parameter w:
    `u = m_hat / (sqrt(v_hat) + eps) + wd * w; w -= lr * ratio * u`, where the trust ratio is
    ||w|| / ||u||, and 1 where either norm is 0. What `is_decayed` leaves out has wd = 0, ratio = 1.

    Args:
        parameters: what this rank updates.
        settings: constants.
        whole_sums: float32 [2, n] -> the same over the whole parameters: sums over this rank's
            blocks of the n parameters become sums over all blocks.
    """

    def __init__(
        self, parameters: Sequence[Parameter], settings: MomentSettings, whole_sums: nn.Cell
    ) -> None:
        super().__init__(parameters, settings)
        self.adapted = tuple(is_decayed(value.name) for value in parameters)
        self.beta1, self.beta2 = settings.beta1, settings.beta2
        self.eps, self.weight_decay = settings.eps, settings.weight_decay
        self.whole_sums = whole_sums
        self.assign = ops.Assign()
        self.matmul = ops.MatMul(transpose_b=True)

    def scalars(self, learning_rate: float, updates: int) -> tuple[ms.Tensor, ...]:
        """Learning rate, and what makes unbiased moments of the running means."""
        settings = self.settings
        values = (
            learning_rate,
            1.0 / (1.0 - settings.beta1 ** (updates + 1)),
            1.0 / (1.0 - settings.beta2 ** (updates + 1)),
        )
        return tuple(ms.Tensor(np.float32(value)) for value in values)

    def construct(
        self,
        learning_rate: ms.Tensor,
        correction1: ms.Tensor,
        correction2: ms.Tensor,
        gradient_factor: ms.Tensor,
        *gradients: ms.Tensor,
    ) -> ms.Tensor:
        """Update every parameter with gradient * gradient_factor."""
        updates, squares = [], []
        for index in range(len(self.parameters)):
            gradient = gradients[index] * gradient_factor
            update = self._update(index, gradient, correction1, correction2)
            updates.append(update)
            squares.append(self._squares(self.parameters[index]))
            squares.append(self._squares(update))
        sums = self.whole_sums(ops.transpose(ops.reshape(ops.concat(squares, 0), (-1, 2)), (1, 0)))
        ratios = self._ratios(sums)
        last = gradient_factor
        for index in range(len(self.parameters)):
            value, step = self.parameters[index], updates[index] * learning_rate
            if self.adapted[index]:
                step = step * ratios[index]
            last = ops.depend(last, self.assign(value, value - step))
        return last

    def _update(
        self, index: int, gradient: ms.Tensor, correction1: ms.Tensor, correction2: ms.Tensor
    ) -> ms.Tensor:
        """Move the moments of a parameter; its update before it is scaled."""
        first = self.first_moments[index] * self.beta1 + gradient * (1.0 - self.beta1)
        second = self.second_moments[index] * self.beta2 + gradient * gradient * (1.0 - self.beta2)
        first = ops.depend(first, self.assign(self.first_moments[index], first))
        second = ops.depend(second, self.assign(self.second_moments[index], second))
        update = first * correction1 / (ops.sqrt(second * correction2) + self.eps)
        if self.adapted[index]:
            update = update + self.parameters[index] * self.weight_decay
        return update

    def _squares(self, x: ms.Tensor) -> ms.Tensor:
        """Sum of squares [1]; see `GradientSquares` for why it is a product."""
        row = ops.reshape(x, (1, -1))
        return ops.reshape(self.matmul(row, row), (1,))

    def _ratios(self, sums: ms.Tensor) -> ms.Tensor:
        """Squares of the norms of weights and updates [2, n] -> trust ratios [n]."""
        weights, updates = ops.sqrt(sums[0]), ops.sqrt(sums[1])
        good = ops.logical_and(weights > 0.0, updates > 0.0)
        one = ops.ones_like(weights)
        return ops.select(good, weights / ops.select(good, updates, one), one)
