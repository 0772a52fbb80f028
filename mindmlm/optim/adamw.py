"""AdamW (Loshchilov & Hutter 2019) on MindSpore's fused Adam kernel."""

from collections.abc import Sequence

import mindspore as ms
import numpy as np
from mindspore import Parameter, ops

from mindmlm.kernels import kernel, kernels_in_use
from mindmlm.optim.moments import MomentOptimizer, MomentSettings, is_decayed


class AdamW(MomentOptimizer):
    """One AdamW update of `parameters`, in place; see `MomentOptimizer`.

    The update is torch.optim.AdamW's: with t updates done before this one,
    `p -= lr * wd * p; p -= lr * m_hat / (sqrt(v_hat) + eps)`. Bias correction is folded into the
    step size and eps on the host (Kingma & Ba 2015, end of section 2), so the fused kernel, ours
    where it can be used, else MindSpore's, makes one pass over the parameters.
    """

    def __init__(self, parameters: Sequence[Parameter], settings: MomentSettings) -> None:
        super().__init__(parameters, settings)
        self.decayed = tuple(
            settings.weight_decay > 0.0 and is_decayed(value.name) for value in parameters
        )
        self.fused = kernels_in_use()
        self.adam = kernel("AdamWUpdates") if self.fused else ops.Adam()
        self.decay_mask = ms.Tensor(self.decayed, ms.float32)
        self.new1 = ms.Tensor(1.0 - settings.beta1, ms.float32)
        self.new2 = ms.Tensor(1.0 - settings.beta2, ms.float32)
        self.assign = ops.Assign()
        self.zero = ms.Tensor(0.0, ms.float32)
        self.beta1 = ms.Tensor(settings.beta1, ms.float32)
        self.beta2 = ms.Tensor(settings.beta2, ms.float32)

    def scalars(self, learning_rate: float, updates: int) -> tuple[ms.Tensor, ...]:
        """Host-made scalars for `construct`: step size, eps and kept share of decayed weights."""
        settings = self.settings
        correction1 = 1.0 - settings.beta1 ** (updates + 1)
        correction2 = float(np.sqrt(1.0 - settings.beta2 ** (updates + 1)))
        values = (
            learning_rate * correction2 / correction1,
            settings.eps * correction2,
            1.0 - learning_rate * settings.weight_decay,
        )
        return tuple(ms.Tensor(value, ms.float32) for value in values)

    def construct(
        self,
        step_size: ms.Tensor,
        eps: ms.Tensor,
        kept: ms.Tensor,
        gradient_factor: ms.Tensor,
        *gradients: ms.Tensor,
    ) -> ms.Tensor:
        """Update every parameter with gradient * gradient_factor."""
        if self.fused:
            return self.update_fused(step_size, eps, kept, gradient_factor, gradients)
        last = gradient_factor
        for index in range(len(self.parameters)):
            value = self.parameters[index]
            gradient = gradients[index] * gradient_factor
            if self.decayed[index]:
                gradient = ops.depend(gradient, self.assign(value, value * kept))
            last = ops.depend(
                last,
                self.adam(
                    value,
                    self.first_moments[index],
                    self.second_moments[index],
                    self.zero,
                    self.zero,
                    step_size,
                    self.beta1,
                    self.beta2,
                    eps,
                    gradient,
                ),
            )
        return last

    def update_fused(
        self,
        step_size: ms.Tensor,
        eps: ms.Tensor,
        kept: ms.Tensor,
        gradient_factor: ms.Tensor,
        gradients: tuple[ms.Tensor, ...],
    ) -> ms.Tensor:
        """Update all parameters by one operator, which changes them and their moments in place."""
        settings = ops.stack(
            (step_size, eps, self.new1, self.new2, ops.reshape(gradient_factor, ()))
        )
        # (kept - 1) + 1 is exact for every kept between 1/2 and 2.
        shares = self.decay_mask * (kept - 1.0) + 1.0
        return self.adam(
            *self.parameters,
            *self.first_moments,
            *self.second_moments,
            *gradients,
            settings,
            shares,
        )
