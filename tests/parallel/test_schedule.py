"""The schedule in a simulator: blocking exchanges take no time, passes take their cost."""

from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from mindmlm.parallel.schedule import (
    Action,
    Backward,
    Exchange,
    Forward,
    forward_only,
    one_forward_one_backward,
)

STAGES = range(1, 9)
MICRO_BATCHES = range(1, 33)


@dataclass
class Stage:
    """One simulated process: its clock and the tensors that it holds."""

    actions: tuple[Action, ...]
    number: int
    last: bool
    clock: float = 0.0
    position: int = 0
    activations_in: set[int] = field(default_factory=set)
    activations_out: set[int] = field(default_factory=set)
    gradients_in: set[int] = field(default_factory=set)
    gradients_out: set[int] = field(default_factory=set)
    forwards: list[int] = field(default_factory=list)
    backwards: list[int] = field(default_factory=list)
    peak: int = 0

    @property
    def next_action(self) -> Action | None:
        return self.actions[self.position] if self.position < len(self.actions) else None

    def compute(self, action: Forward | Backward, forward: float, backward: float) -> None:
        """Do a pass; its input must have arrived and is used once."""
        if isinstance(action, Forward):
            if self.number > 0:
                self.activations_in.remove(action.micro)
            self.activations_out.add(action.micro)
            self.forwards.append(action.micro)
            self.clock += forward
        else:
            assert action.micro in self.forwards
            if not self.last:
                self.gradients_in.remove(action.micro)
            self.gradients_out.add(action.micro)
            self.backwards.append(action.micro)
            self.clock += backward
        self.peak = max(self.peak, len(self.forwards) - len(self.backwards))
        self.position += 1


def meet(above: Stage, below: Stage) -> bool:
    """Do the exchange of two neighbours if both wait for it."""
    down, up = above.next_action, below.next_action
    if not (isinstance(down, Exchange) and isinstance(up, Exchange)):
        return False
    if (down.neighbour, up.neighbour) != (1, -1):
        return False
    assert (down.activation, down.gradient) == (up.activation, up.gradient)
    assert (down.send, down.receive) == (up.receive, up.send) != (None, None)
    if down.send is not None:
        above.activations_out.remove(down.send)
        below.activations_in.add(down.send)
    if up.send is not None:
        below.gradients_out.remove(up.send)
        above.gradients_in.add(up.send)
    above.clock = below.clock = max(above.clock, below.clock)
    above.position += 1
    below.position += 1
    return True


def simulate(schedules: list[tuple[Action, ...]], forward: float, backward: float) -> list[Stage]:
    """Run all stages to their ends; fails where they wait for each other for ever."""
    last = len(schedules) - 1
    stages = [Stage(actions, number, number == last) for number, actions in enumerate(schedules)]
    while any(stage.next_action is not None for stage in stages):
        moved = False
        for stage in stages:
            while isinstance(action := stage.next_action, Forward | Backward):
                stage.compute(action, forward, backward)
                moved = True
        for above, below in pairwise(stages):
            moved |= meet(above, below)
        assert moved, f"deadlock at {[stage.next_action for stage in stages]}"
    return stages


@pytest.mark.parametrize("backward", [1.0, 2.0])
@pytest.mark.parametrize("stages", STAGES)
def test_training_has_the_bubble_and_memory_of_1f1b(stages: int, backward: float) -> None:
    for micro_batches in MICRO_BATCHES:
        schedules = [
            one_forward_one_backward(stage, stages, micro_batches) for stage in range(stages)
        ]
        done = simulate(schedules, 1.0, backward)
        for stage in done:
            assert stage.forwards == stage.backwards == list(range(micro_batches))
            assert stage.peak == min(stages - stage.number, micro_batches)
        # Whoever ends last has worked for micro_batches passes and waited for the bubble.
        bubble = max(stage.clock for stage in done) - micro_batches * (1.0 + backward)
        assert bubble == (stages - 1) * (1.0 + backward)


@pytest.mark.parametrize("stages", STAGES)
def test_nothing_is_left_over(stages: int) -> None:
    for micro_batches in MICRO_BATCHES:
        everything = set(range(micro_batches))
        schedules = [
            one_forward_one_backward(stage, stages, micro_batches) for stage in range(stages)
        ]
        for stage in simulate(schedules, 1.0, 1.0):
            assert stage.activations_in == stage.gradients_in == set()
            # Only the last stage keeps its outputs (the losses), only the first its gradients.
            assert stage.activations_out == (everything if stage.last else set())
            assert stage.gradients_out == (everything if stage.number == 0 else set())


@pytest.mark.parametrize("stages", STAGES)
def test_evaluation_runs_forward_only(stages: int) -> None:
    for micro_batches in MICRO_BATCHES:
        done = simulate(
            [forward_only(stage, stages, micro_batches) for stage in range(stages)], 1.0, 1.0
        )
        assert all(stage.forwards == list(range(micro_batches)) for stage in done)
        assert all(stage.backwards == [] for stage in done)
        assert max(stage.clock for stage in done) == micro_batches + stages - 1


def test_one_stage_is_gradient_accumulation() -> None:
    assert one_forward_one_backward(0, 1, 3) == (
        *(Forward(0), Backward(0)),
        *(Forward(1), Backward(1)),
        *(Forward(2), Backward(2)),
    )


def test_two_stages_as_drawn_in_the_paper() -> None:
    assert one_forward_one_backward(0, 2, 2) == (
        *(Forward(0), Exchange(+1, send=0)),
        *(Forward(1), Exchange(+1, send=1, receive=0)),
        *(Backward(0), Exchange(+1, receive=1)),
        Backward(1),
    )
    assert one_forward_one_backward(1, 2, 2) == (
        *(Exchange(-1, receive=0), Forward(0), Backward(0)),
        *(Exchange(-1, send=0, receive=1), Forward(1), Backward(1)),
        Exchange(-1, send=1),
    )


def test_the_simulator_sees_a_deadlock() -> None:
    swapped = (Exchange(+1, receive=0), Forward(0), Exchange(+1, send=0), Backward(0))
    right = one_forward_one_backward(1, 2, 1)
    with pytest.raises(AssertionError):
        simulate([swapped, right], 1.0, 1.0)
    with pytest.raises(AssertionError, match="deadlock"):
        simulate([(Forward(0),), right], 1.0, 1.0)


@pytest.mark.parametrize("schedule", [one_forward_one_backward, forward_only])
@pytest.mark.parametrize("arguments", [(2, 2, 1), (-1, 2, 1), (0, 0, 1), (0, 1, 0)])
def test_arguments_out_of_range_are_refused(schedule, arguments: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match=r"stage|micro-batch"):
        schedule(*arguments)
