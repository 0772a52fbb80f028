"""One optimizer step, driven by the host: gradients, their sum, unscale, clip, update or skip."""

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import mindspore as ms
import numpy as np

from mindmlm.optim.optimizer import Optimizer
from mindmlm.optim.schedules import RateByStep
from mindmlm.parallel.agreement import Agreement
from mindmlm.parallel.micro_batch import (
    ONE_TERM,
    LossTerm,
    MicroBatch,
    term_means,
    term_scales,
)
from mindmlm.parallel.pipeline import StageGradients
from mindmlm.parallel.tied import SumTiedGradients
from mindmlm.parallel.zero import OwnedParts
from mindmlm.training.gradients import GradientSquares
from mindmlm.training.state import TrainState

Phase = Callable[[str], AbstractContextManager[None]]
Gradients = tuple[ms.Tensor, ...]


@dataclass(frozen=True)
class StepResult:
    """What one step did; the same on all ranks.

    Args:
        loss: sum over chosen positions / their number, over the whole global batch; of several
            terms, their weighted sum.
        gradient_norm: Euclidean norm of the unscaled gradient, before clipping.
        learning_rate: of this step.
        loss_scale: that this step was run with.
        overflow: whether the gradient was not finite, so that the weights were left alone.
        tokens: of the global batch that are not padding.
        stop: whether any rank was asked to stop before the update.
        terms: mean of each term by name, where the loss has several or something is measured.
    """

    loss: float
    gradient_norm: float
    learning_rate: float
    loss_scale: float
    overflow: bool
    tokens: int
    stop: bool
    terms: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class StepSettings:
    """What a step is told by the configuration.

    Args:
        schedule: learning rate by step.
        max_grad_norm: clip the gradient to this Euclidean norm; None = do not clip.
        gradient_factor: gradients are this many times those of the mean loss of the global batch.
        terms: that the loss is made of.
    """

    schedule: RateByStep
    max_grad_norm: float | None
    gradient_factor: float = 1.0
    terms: tuple[LossTerm, ...] = ONE_TERM


class TrainStep:
    """Runs steps of a model on this rank, together with all other ranks.

    Args:
        gradients: of this rank's layers and samples.
        tied: sums gradients of parameters that two stages have.
        owned: what this rank updates.
        optimizer: updates it.
        counted: for each of the owned parts, whether it counts in the gradient norm.
        agreement: with the other ranks.
        settings: see `StepSettings`.
        phase: context manager that times a named phase.
    """

    def __init__(
        self,
        gradients: StageGradients,
        tied: SumTiedGradients,
        owned: OwnedParts,
        optimizer: Optimizer,
        counted: Sequence[bool],
        agreement: Agreement,
        settings: StepSettings,
        phase: Phase,
    ) -> None:
        self.gradients = gradients
        self.tied = tied
        self.owned = owned
        self.optimizer = optimizer
        self.squares = GradientSquares(counted)
        self.agreement = agreement
        self.settings = settings
        self.phase = phase

    def run(
        self,
        micro_batches: Sequence[MicroBatch],
        state: TrainState,
        stop_requested: Callable[[], bool] = lambda: False,
    ) -> StepResult:
        """Do the step that follows `state`; the weights change in place, `state` does not.

        A gradient that is not finite on any rank changes no weight on any. Losses are added on the
        host in float64.
        """
        place, scale = self.agreement.place, state.loss_scale.value
        *counts, tokens = self.agreement.sums(batch_counts(micro_batches), place.reads_data)
        terms, factor = self.settings.terms, scale * self.settings.gradient_factor
        with self.phase("forward_backward"):
            values, gradients = self.gradients(micro_batches, term_scales(terms, counts, factor))
        with self.phase("reduce"):
            gradients = self.owned.reduced(self.tied(gradients))
        with self.phase("gradient_norm"):
            counted, every = self.squares(*gradients).asnumpy().astype(np.float64)
            mine = values if place.has_loss else np.zeros(len(terms))
            rows = self.agreement.rows([*mine, counted, every, stop_requested()])
        columns = rows.T
        loss, means = term_means(terms, [math.fsum(column) for column in columns[:-3]], factor)
        norm = math.sqrt(math.fsum(columns[-3])) / scale
        if not np.isfinite(columns[-2]).all():
            # Maybe in a gradient of which another rank counts its own copy.
            norm = math.nan
        overflow = not math.isfinite(norm)
        learning_rate = self.settings.schedule.at(state.step)
        if not overflow:
            with self.phase("update"):
                self._update(gradients, norm, scale, learning_rate, state.updates)
        return StepResult(
            loss=loss,
            gradient_norm=norm,
            learning_rate=learning_rate,
            loss_scale=scale,
            overflow=overflow,
            tokens=round(tokens),
            stop=bool(columns[-1].any()),
            terms=means if len(terms) > 1 else {},
        )

    def _update(
        self,
        gradients: Gradients,
        norm: float,
        scale: float,
        learning_rate: float,
        updates: int,
    ) -> None:
        clip = 1.0
        if self.settings.max_grad_norm is not None and norm > self.settings.max_grad_norm:
            clip = self.settings.max_grad_norm / norm
        factor = ms.Tensor(clip / scale, ms.float32)
        scalars = self.optimizer.scalars(learning_rate, updates)
        self.optimizer(*scalars, factor, *gradients).asnumpy()
        self.owned.publish()


def batch_counts(micro_batches: Sequence[MicroBatch]) -> list[float]:
    """The count of each term of the loss over some micro-batches, and their tokens."""
    columns = zip(*(micro.counts for micro in micro_batches), strict=True)
    return [*map(math.fsum, columns), sum(micro.tokens for micro in micro_batches)]
