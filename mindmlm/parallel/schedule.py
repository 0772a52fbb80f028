"""What every pipeline stage does in one step, as a list of actions. Pure.

1F1B without interleaving (Narayanan et al., 2019, "PipeDream", and 2021, "Efficient large-scale
language model training on GPU clusters using Megatron-LM", section 2.2): a stage runs ahead by as
many forward passes as there are stages after it, then does one forward and one backward in turn.
So it holds the activations of at most ``stages - stage`` micro-batches, whatever their number.

Neighbours talk in exchanges that both sides enter and leave together (a rendezvous), as in
Megatron-LM's `p2p_communication`: an activation that goes down and a gradient that goes up
at that time travel in one exchange, which is why blocking exchanges cannot wait for each other.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Forward:
    """Run the forward pass of a micro-batch, counted from 0."""

    micro: int


@dataclass(frozen=True)
class Backward:
    """Run the backward pass of a micro-batch."""

    micro: int


@dataclass(frozen=True)
class Exchange:
    """Swap tensors with the stage after this one (`neighbour` +1) or before it (-1).

    Activations go to the stage after, gradients to the one before. Both sides of an exchange have
    the same `activation` and the same `gradient`.

    Args:
        neighbour: +1 or -1.
        send: micro-batch of the tensor that is sent; None: nothing is.
        receive: micro-batch of the tensor that is received; None: nothing is.
    """

    neighbour: int
    send: int | None = None
    receive: int | None = None

    @property
    def activation(self) -> int | None:
        """Micro-batch of the activation that goes down in this exchange."""
        return self.send if self.neighbour > 0 else self.receive

    @property
    def gradient(self) -> int | None:
        """Micro-batch of the gradient that goes up in this exchange."""
        return self.receive if self.neighbour > 0 else self.send


Action = Forward | Backward | Exchange


def one_forward_one_backward(stage: int, stages: int, micro_batches: int) -> tuple[Action, ...]:
    """Actions of one training step of `stage`, in order.

    Args:
        stage: number of the stage, from 0.
        stages: how many there are; 1 gives forward and backward passes without exchanges.
        micro_batches: micro-batches of the step; may be fewer than stages.

    Raises:
        ValueError: an argument is out of range.
    """
    _check(stage, stages, micro_batches)
    ahead = min(stages - stage - 1, micro_batches)
    actions: list[Action | None] = []
    for micro in range(ahead):
        actions += [
            _with_previous(stage, activation=micro),
            Forward(micro),
            _with_next(stage, stages, activation=micro),
        ]
    if ahead < micro_batches:
        actions.append(_with_previous(stage, activation=ahead))
    for micro in range(ahead, micro_batches):
        done = micro - ahead
        following = micro + 1 if micro + 1 < micro_batches else None
        actions += [
            Forward(micro),
            _with_next(stage, stages, activation=micro, gradient=done),
            Backward(done),
            _with_previous(stage, activation=following, gradient=done),
        ]
    for micro in range(micro_batches - ahead, micro_batches):
        actions += [
            _with_next(stage, stages, gradient=micro),
            Backward(micro),
            _with_previous(stage, gradient=micro),
        ]
    return tuple(action for action in actions if action is not None)


def forward_only(stage: int, stages: int, micro_batches: int) -> tuple[Action, ...]:
    """Actions of `stage` for an evaluation: forward passes only; arguments as in training.

    Raises:
        ValueError: an argument is out of range.
    """
    _check(stage, stages, micro_batches)
    actions: list[Action | None] = []
    for micro in range(micro_batches):
        actions += [
            _with_previous(stage, activation=micro),
            Forward(micro),
            _with_next(stage, stages, activation=micro),
        ]
    return tuple(action for action in actions if action is not None)


def _with_previous(
    stage: int, activation: int | None = None, gradient: int | None = None
) -> Exchange | None:
    if stage == 0:
        return None
    return Exchange(-1, send=gradient, receive=activation)


def _with_next(
    stage: int, stages: int, activation: int | None = None, gradient: int | None = None
) -> Exchange | None:
    if stage == stages - 1:
        return None
    return Exchange(+1, send=activation, receive=gradient)


def _check(stage: int, stages: int, micro_batches: int) -> None:
    if not 0 <= stage < stages:
        raise ValueError(f"stage {stage} of {stages} does not exist")
    if micro_batches < 1:
        raise ValueError(f"a step has at least one micro-batch, not {micro_batches}")
