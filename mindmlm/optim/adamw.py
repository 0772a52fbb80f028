"""AdamW (Loshchilov & Hutter 2019) on MindSpore's fused Adam kernel."""

from collections.abc import Sequence
from dataclasses import dataclass

import mindspore as ms
import numpy as np
from mindspore import Parameter, ParameterTuple, nn, ops

FIRST_MOMENT = "first_moment."
SECOND_MOMENT = "second_moment."
PART = "part."


@dataclass(frozen=True)
class AdamWSettings:
    """Constants of AdamW.

    Args:
        beta1: decay of the mean of gradients.
        beta2: decay of the mean of squared gradients.
        eps: added to the root of the second moment.
        weight_decay: share of learning_rate * weight that is taken off the decayed weights.
    """

    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-6
    weight_decay: float = 0.01


def is_decayed(name: str) -> bool:
    """Whether weight decay applies: to all but biases and normalisation parameters."""
    return not name.endswith(("bias", "norm.weight"))


class AdamW(nn.Cell):
    """One AdamW update of `parameters`, in place.

    A parameter named ``part.NAME`` is a part of NAME (ZeRO-1); its state is called after NAME.

    The update is torch.optim.AdamW's: with t updates done before this one,
    `p -= lr * wd * p; p -= lr * m_hat / (sqrt(v_hat) + eps)`. Bias correction is folded into the
    step size and eps on the host (Kingma & Ba 2015, end of section 2), so the fused kernel makes
    one pass over the parameters.
    """

    def __init__(self, parameters: Sequence[Parameter], settings: AdamWSettings) -> None:
        super().__init__(auto_prefix=False)
        self.settings = settings
        self.parameters = ParameterTuple(parameters)
        self.first_moments = ParameterTuple(self.moments(parameters, FIRST_MOMENT))
        self.second_moments = ParameterTuple(self.moments(parameters, SECOND_MOMENT))
        self.decayed = tuple(
            settings.weight_decay > 0.0 and is_decayed(value.name) for value in parameters
        )
        self.adam = ops.Adam()
        self.assign = ops.Assign()
        self.zero = ms.Tensor(0.0, ms.float32)
        self.beta1 = ms.Tensor(settings.beta1, ms.float32)
        self.beta2 = ms.Tensor(settings.beta2, ms.float32)

    def moments(self, parameters: Sequence[Parameter], prefix: str) -> list[Parameter]:
        """Zeros of the shapes of `parameters`, named after them."""
        return [
            Parameter(
                ms.Tensor(np.zeros(value.shape, np.float32)),
                name=prefix + value.name.removeprefix(PART),
            )
            for value in parameters
        ]

    @property
    def kinds(self) -> tuple[str, str]:
        """What the names of its state begin with."""
        return FIRST_MOMENT, SECOND_MOMENT

    def state(self) -> tuple[Parameter, ...]:
        """First and second moments, which a checkpoint keeps."""
        return (*self.first_moments, *self.second_moments)

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
