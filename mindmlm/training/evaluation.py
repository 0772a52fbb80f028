"""Evaluation: sums over all batches, then one division."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from mindmlm.parallel.agreement import Agreement
from mindmlm.parallel.pipeline import StageForward


@dataclass(frozen=True)
class EvaluationResult:
    """What evaluation found, over the chosen positions of all samples.

    Args:
        loss: mean cross-entropy in nats.
        perplexity: exp(loss).
        masked_accuracy: share of positions whose most likely token is the right one.
        positions: how many positions counted.
    """

    loss: float
    perplexity: float
    masked_accuracy: float
    positions: int

    def metrics(self, step: int) -> dict[str, float]:
        """The line of `metrics.jsonl`."""
        return {
            "step": step,
            "eval_loss": self.loss,
            "eval_perplexity": self.perplexity,
            "eval_masked_accuracy": self.masked_accuracy,
        }


class Evaluator:
    """Evaluates a model on the same batches with the same masks every time.

    Args:
        forward: maps the arrays of a batch to (loss sum, number correct, number of positions).
        batches: called for each evaluation; gives the arrays of each batch of this rank. The first
            array has a row a sample and a column a position.
        agreement: with the other ranks, which have the other batches.
    """

    def __init__(
        self,
        forward: StageForward,
        batches: Callable[[], Iterable[tuple[np.ndarray, ...]]],
        agreement: Agreement,
    ) -> None:
        self.forward = forward
        self.batches = batches
        self.agreement = agreement

    def run(self) -> EvaluationResult:
        """Go through all batches once; dropout is off."""
        self.forward.cell.set_train(False)
        sums: list[list[float]] = []
        for arrays in self.batches():
            outputs = self.forward(arrays, arrays[0].size)
            if outputs is not None:
                sums.append([float(output.asnumpy()) for output in outputs])
        mine = [math.fsum(column) for column in zip(*sums, strict=True)] or [0.0, 0.0, 0.0]
        has_loss = self.agreement.place.has_loss
        loss_sum, correct, positions = self.agreement.sums(mine, has_loss)
        loss = loss_sum / max(positions, 1.0)
        return EvaluationResult(
            loss, math.exp(min(loss, 700.0)), correct / max(positions, 1.0), round(positions)
        )
