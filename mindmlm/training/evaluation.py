"""Evaluation: sums over all batches, then one division."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import mindspore as ms
import numpy as np
from mindspore import nn


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
        cell: maps the arrays of a batch to (loss sum, number correct, number of positions).
        batches: called for each evaluation; gives the arrays of each batch.
    """

    def __init__(
        self, cell: nn.Cell, batches: Callable[[], Iterable[tuple[np.ndarray, ...]]]
    ) -> None:
        self.cell = cell
        self.batches = batches

    def run(self) -> EvaluationResult:
        """Go through all batches once; dropout is off."""
        self.cell.set_train(False)
        sums: list[list[float]] = []
        for arrays in self.batches():
            outputs = self.cell(*(ms.Tensor.from_numpy(array) for array in arrays))
            sums.append([float(output.asnumpy()) for output in outputs])
        loss_sum, correct, positions = (math.fsum(column) for column in zip(*sums, strict=True))
        loss = loss_sum / max(positions, 1.0)
        return EvaluationResult(
            loss, math.exp(min(loss, 700.0)), correct / max(positions, 1.0), round(positions)
        )
