"""What a run wrote into ``metrics.jsonl``, read back."""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mindmlm.errors import DataError


@dataclass(frozen=True)
class Evaluation:
    """One evaluation on the held-out text; a number that was not finite is NaN.

    Args:
        step: optimizer steps done before it.
        loss: mean negative log-likelihood of the chosen positions, in nats.
        perplexity: exp(loss).
        measures: everything else that was measured, by name; accuracies are shares from 0 to 1.
    """

    step: int
    loss: float
    perplexity: float
    measures: dict[str, float]


@dataclass(frozen=True)
class History:
    """The steps and evaluations of one run, in the order of the file.

    Args:
        steps: int64 [steps], numbers of the train lines.
        losses: float64 [steps], training loss of each.
        learning_rates: float64 [steps].
        tokens_per_second: float64 [steps].
        evaluations: at most one a step, at least one.
    """

    steps: np.ndarray
    losses: np.ndarray
    learning_rates: np.ndarray
    tokens_per_second: np.ndarray
    evaluations: tuple[Evaluation, ...]

    @property
    def before(self) -> Evaluation:
        """The evaluation before the first step, or the earliest there is."""
        return min(self.evaluations, key=lambda evaluation: evaluation.step)

    @property
    def after(self) -> Evaluation:
        """The evaluation after the last step that has one."""
        return max(self.evaluations, key=lambda evaluation: evaluation.step)

    @property
    def best(self) -> Evaluation:
        """The evaluation with the lowest loss, the earliest of equals."""
        return min(self.evaluations, key=lambda found: (math.isnan(found.loss), found.loss))


def read_history(path: Path) -> History:
    """Read a run's ``metrics.jsonl``.

    A last line that a killed process left incomplete is ignored. Of several evaluations of one step
    the first counts: training wrote it, ``--run_mode eval`` appends its lines later.

    Raises:
        DataError: the file is missing, has a faulty line, no train line or no evaluation.
    """
    lines = _Lines(path)
    for number, text in enumerate(_complete_lines(path), start=1):
        lines.add(number, text)
    if not lines.evaluations:
        raise DataError(
            f"{path}: no evaluation is in it; the run ended before its first one, start it again"
        )
    if not lines.train:
        raise DataError(f"{path}: no training step is in it; the run has not done its first one")
    steps, *columns = zip(*lines.train, strict=True)
    losses, rates, speeds = (np.array(column, np.float64) for column in columns)
    return History(
        np.array(steps, np.int64), losses, rates, speeds, tuple(lines.evaluations.values())
    )


@dataclass
class _Lines:
    """Collects the lines by kind."""

    path: Path
    train: list[tuple[int, float, float, float]] = field(default_factory=list)
    evaluations: dict[int, Evaluation] = field(default_factory=dict)

    def add(self, number: int, text: str) -> None:
        try:
            record = json.loads(text)
            step = int(record["step"])
            if "eval_loss" in record:
                self.evaluations.setdefault(step, _evaluation(step, record))
            else:
                loss, rate, speed = (
                    _number(record, name) for name in ("loss", "learning_rate", "tokens_per_second")
                )
                self.train.append((step, loss, rate, speed))
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"{self.path}:{number}: not a line of a run's metrics: {text[:60]!r} "
                f"({type(error).__name__}: {error})"
            ) from None


def _evaluation(step: int, record: dict[str, Any]) -> Evaluation:
    prefix = "eval_"
    values = {
        name.removeprefix(prefix): _number(record, name)
        for name in record
        if name.startswith(prefix)
    }
    loss = values.pop("loss")
    # Where no words are predicted there is none in the line.
    perplexity = values.pop("perplexity", None)
    return Evaluation(step, loss, math.exp(loss) if perplexity is None else perplexity, values)


def _number(record: dict[str, Any], name: str) -> float:
    """Return a number of a line; ``null`` stands for one that was not finite."""
    return math.nan if record[name] is None else float(record[name])


def _complete_lines(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise DataError(
            f"{path}: no such file; name the --output_dir of a run that trained"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from None
    lines = text.split("\n")[:-1]
    if not lines:
        raise DataError(f"{path}: is empty; the run has not written its first line yet")
    return lines
