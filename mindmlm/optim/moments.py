"""What optimizers with two running means have in common: constants, names and state."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import mindspore as ms
import numpy as np
from mindspore import Parameter, ParameterTuple, nn

FIRST_MOMENT = "first_moment."
SECOND_MOMENT = "second_moment."
PART = "part."


@dataclass(frozen=True)
class MomentSettings:
    """Constants of AdamW and of LAMB.

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


class MomentOptimizer(nn.Cell):
    """Updates `parameters` in place.

    A parameter named ``part.NAME`` is a part of NAME (ZeRO-1); its state is called after NAME.

    Args:
        parameters: what this rank updates.
        settings: constants.
    """

    def __init__(self, parameters: Sequence[Parameter], settings: MomentSettings) -> None:
        super().__init__(auto_prefix=False)
        self.settings = settings
        self.parameters = ParameterTuple(parameters)
        self.first_moments = ParameterTuple(self.moments(parameters, FIRST_MOMENT))
        self.second_moments = ParameterTuple(self.moments(parameters, SECOND_MOMENT))

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

    @abstractmethod
    def scalars(self, learning_rate: float, updates: int) -> tuple[ms.Tensor, ...]:
        """Host-made scalars for `construct`, which takes (*scalars, gradient factor, *gradients).

        Args:
            learning_rate: of this step.
            updates: done before this one.
        """
