"""Evaluation: sums over all batches, then one division."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mindmlm.parallel.agreement import Agreement
from mindmlm.parallel.pipeline import StageForward

_LARGEST_WRITTEN_OUT = 1e7
# exp() of more than this is not a float any more.
_LARGEST_EXPONENT = 700.0


@dataclass(frozen=True)
class EvaluationResult:
    """What evaluation found, over the predicted positions of all samples.

    Args:
        values: measure -> value; `loss` (mean cross-entropy in nats) is there, an accuracy is a
            share from 0 to 1.
        positions: how many positions counted.
        counted: what they are, if not positions.
    """

    values: Mapping[str, float]
    positions: int
    counted: str = "positions"

    def metrics(self, step: int) -> dict[str, float]:
        """The line of `metrics.jsonl`."""
        return {"step": step, **{f"eval_{name}": value for name, value in self.values.items()}}

    def describe(self) -> str:
        """The measures for people."""
        words = [_shown(name, value) for name, value in self.values.items()]
        return f"{', '.join(words)} ({self.positions} {self.counted})"


def _shown(name: str, value: float) -> str:
    words = name.replace("_", " ")
    if name.endswith("accuracy"):
        return f"{words} {100.0 * value:.2f}%"
    if name == "loss":
        return f"{words} {value:.4f}"
    return f"{words} {value:.2f}" if value < _LARGEST_WRITTEN_OUT else f"{words} {value:.3g}"


def token_measures(sums: Sequence[float], accuracy: str) -> EvaluationResult:
    """Loss, perplexity and the accuracy, which is called `accuracy`, of sums over all samples."""
    loss_sum, correct, positions = sums
    count = max(positions, 1.0)
    loss = loss_sum / count
    values = {"loss": loss, "perplexity": perplexity(loss), accuracy: correct / count}
    return EvaluationResult(values, round(positions))


def perplexity(loss: float) -> float:
    """exp(loss), always finite."""
    return math.exp(min(loss, _LARGEST_EXPONENT))


class Evaluator:
    """Evaluates a model on the same batches with the same masks every time.

    Args:
        forward: maps the arrays of a batch to sums, for example (loss, correct, positions).
        batches: called for each evaluation; gives the arrays of each batch of this rank. The first
            array has a row a sample and a column a position.
        agreement: with the other ranks, which have the other batches.
        measures: what the sums over all ranks say.
        number_of_sums: that `forward` gives.
    """

    def __init__(
        self,
        forward: StageForward,
        batches: Callable[[], Iterable[tuple[np.ndarray, ...]]],
        agreement: Agreement,
        measures: Callable[[Sequence[float]], EvaluationResult],
        number_of_sums: int,
    ) -> None:
        self.forward = forward
        self.batches = batches
        self.agreement = agreement
        self.measures = measures
        self.number_of_sums = number_of_sums

    def run(self) -> EvaluationResult:
        """Go through all batches once; dropout is off."""
        self.forward.cell.set_train(False)
        sums: list[list[float]] = []
        for arrays in self.batches():
            outputs = self.forward(arrays, arrays[0].size)
            if outputs is not None:
                sums.append([float(output.asnumpy()) for output in outputs])
        nothing = [0.0] * self.number_of_sums
        mine = [math.fsum(column) for column in zip(*sums, strict=True)] or nothing
        return self.measures(self.agreement.sums(mine, self.agreement.place.has_loss))
