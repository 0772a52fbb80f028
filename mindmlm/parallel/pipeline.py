"""Forward and backward passes of one rank: its stage of the pipeline, its parts, in 1F1B order.

A rank alone is a pipeline of one stage: the same code without exchanges. Where layers are
recomputed, a stage has several parts, and keeps of a micro-batch only what went into each; the
backward pass of a part runs its forward pass again. A stage that is not the last one always does
so: its graph cannot be left open between forward and backward pass (docs/parallel.md).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import mindspore as ms
import numpy as np
from mindspore import nn

from mindmlm.parallel.collectives import Channel
from mindmlm.parallel.layout import ParallelLayout
from mindmlm.parallel.micro_batch import MicroBatch
from mindmlm.parallel.schedule import Backward, Exchange, Forward, one_forward_one_backward
from mindmlm.parallel.stage import Accumulate, StagePart

Gradients = tuple[ms.Tensor, ...]


@dataclass(frozen=True)
class StageLinks:
    """Place of a stage in the pipeline and its connections.

    Args:
        stage, stages: number of the stage, from 0, and how many there are.
        hidden_size: columns of the activations.
        previous, following: to the stages beside it, where there are any.
    """

    stage: int
    stages: int
    hidden_size: int
    previous: Channel | None = None
    following: Channel | None = None

    @classmethod
    def of(cls, layout: ParallelLayout, rank: int, hidden_size: int) -> "StageLinks":
        """Those of a rank."""
        before, after = layout.neighbour(rank, -1), layout.neighbour(rank, 1)
        return cls(
            layout.coordinates(rank).stage,
            layout.pipeline_stage,
            hidden_size,
            None if before is None else Channel((before, rank), rank),
            None if after is None else Channel((rank, after), rank),
        )

    @property
    def last(self) -> bool:
        """Whether the loss is here."""
        return self.stage == self.stages - 1


class StageGradients:
    """Loss and gradients of a stage over the micro-batches of a step.

    Args:
        parts: its layers in order.
        links: to the other stages.

    Attributes:
        most_in_flight: largest number of micro-batches whose activations were held at a time.
    """

    def __init__(self, parts: Sequence[StagePart], links: StageLinks) -> None:
        self._parts = list(parts)
        self._links = links
        self._accumulate = Accumulate()
        self.most_in_flight = 0
        self.names = list(
            dict.fromkeys(value.name for part in parts for value in part.backward.parameters)
        )

    def __call__(
        self, micro_batches: Sequence[MicroBatch], scales: np.ndarray
    ) -> tuple[np.ndarray, Gradients]:
        """Run a step.

        Args:
            micro_batches: of this rank.
            scales: of the terms of the loss, see `term_scales`.

        Returns:
            Scaled terms summed over the micro-batches, float64 [terms] (0 where the loss is not
            here), and gradients of their sum in the order of `names`.
        """
        for part in self._parts:
            part.set_train()
        scale = ms.Tensor(scales, ms.float32)
        step = _Step(micro_batches, scale, len(self._parts), np.zeros(len(scales)))
        links = self._links
        for action in one_forward_one_backward(links.stage, links.stages, len(micro_batches)):
            if isinstance(action, Forward):
                self._forward(step, action.micro)
            elif isinstance(action, Backward):
                self._backward(step, action.micro)
            else:
                self._exchange(step, action)
        return step.terms, self._merged(step)

    def _forward(self, step: "_Step", micro: int) -> None:
        """Run to the end of the stage, or to the part with the loss, which runs once."""
        x = step.activations.pop(micro) if self._links.stage else step.nothing
        step.inputs[micro] = [x]
        self.most_in_flight = max(self.most_in_flight, len(step.inputs))
        for part in self._parts[:-1]:
            assert part.forward is not None
            x = part.forward(x, *step.arrays(micro, part))
            step.inputs[micro].append(x)
        final = self._parts[-1]
        if final.forward is not None:
            step.activations[micro] = final.forward(x, *step.arrays(micro, final))

    def _backward(self, step: "_Step", micro: int) -> None:
        inputs = step.inputs.pop(micro)
        sensitivity = step.scale if self._links.last else step.sensitivities.pop(micro)
        for number in reversed(range(len(self._parts))):
            part = self._parts[number]
            value, (sensitivity, new) = part.backward(
                inputs.pop(), sensitivity, *step.arrays(micro, part)
            )
            if part.forward is None:
                step.terms += value.asnumpy()
            old = step.gradients[number]
            step.gradients[number] = self._accumulate(*old, *new) if old else new
        if self._links.stage:
            step.sensitivities[micro] = sensitivity

    def _exchange(self, step: "_Step", action: Exchange) -> None:
        """Activations first, then gradients: both sides keep this order."""
        links = self._links
        send, receive = action.send, action.receive
        if action.neighbour > 0:
            assert links.following is not None
            if send is not None:
                links.following.send(step.activations.pop(send))
            if receive is not None:
                step.sensitivities[receive] = links.following.receive(self._shape(step, receive))
        else:
            assert links.previous is not None
            if receive is not None:
                step.activations[receive] = links.previous.receive(self._shape(step, receive))
            if send is not None:
                links.previous.send(step.sensitivities.pop(send))

    def _shape(self, step: "_Step", micro: int) -> tuple[int, int]:
        return step.micro_batches[micro].rows, self._links.hidden_size

    def _merged(self, step: "_Step") -> Gradients:
        """One gradient for each name; a tied parameter has one in two parts."""
        total: dict[str, ms.Tensor] = {}
        for part, gradients in zip(self._parts, step.gradients, strict=True):
            for value, gradient in zip(part.backward.parameters, gradients, strict=True):
                known = total.get(value.name)
                total[value.name] = gradient if known is None else known + gradient
        return tuple(total[name] for name in self.names)


@dataclass
class _Step:
    """What is held during one step; dictionaries are by micro-batch."""

    micro_batches: Sequence[MicroBatch]
    scale: ms.Tensor
    number_of_parts: int
    terms: np.ndarray
    inputs: dict[int, list[ms.Tensor]] = field(default_factory=dict)
    activations: dict[int, ms.Tensor] = field(default_factory=dict)
    sensitivities: dict[int, ms.Tensor] = field(default_factory=dict)
    gradients: list[Gradients] = field(init=False)
    nothing: ms.Tensor = field(default_factory=lambda: _nothing())

    def __post_init__(self) -> None:
        self.gradients = [()] * self.number_of_parts

    def arrays(self, micro: int, part: StagePart) -> list[ms.Tensor]:
        """Inputs and dropout masks of a part."""
        batch = self.micro_batches[micro]
        return tensors((*batch.inputs, *batch.keeps[part.keeps]))


class StageForward:
    """Evaluation of one batch by all stages in turn.

    Args:
        cell: (x, *arrays) -> activations, or what the last stage finds out.
        links: to the other stages.
    """

    def __init__(self, cell: nn.Cell, links: StageLinks) -> None:
        self.cell = cell
        self._links = links

    def __call__(self, arrays: tuple[np.ndarray, ...], rows: int) -> tuple[ms.Tensor, ...] | None:
        """Run the stage on a batch whose activations have `rows` rows; None if not the last."""
        links = self._links
        if links.previous is None:
            x = _nothing()
        else:
            x = links.previous.receive((rows, links.hidden_size))
        result = self.cell(x, *tensors(arrays))
        if links.following is None:
            return result
        links.following.send(result)
        return None


def tensors(arrays: Sequence[np.ndarray]) -> list[ms.Tensor]:
    """MindSpore's view of numpy arrays."""
    return [ms.Tensor.from_numpy(array) for array in arrays]


def _nothing() -> ms.Tensor:
    """Stands for the activations before the first layer."""
    return ms.Tensor(np.zeros(1, np.float32))
