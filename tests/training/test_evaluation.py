"""Evaluation adds up sums over batches and divides once."""

import math

import numpy as np
import pytest
from mindspore import nn

from mindmlm.parallel.agreement import Agreement
from mindmlm.parallel.pipeline import StageForward, StageLinks
from mindmlm.parallel.place import Place
from mindmlm.training.evaluation import EvaluationResult, Evaluator, token_measures

pytestmark = pytest.mark.usefixtures("graph_mode")


class Sums(nn.Cell):
    """Passes on what it is given, so that the batches are the sums."""

    def construct(self, x, loss, correct, positions):
        return loss * 1.0, correct * 1.0, positions * 1.0


def evaluator(rows):
    arrays = [tuple(np.array(value, np.float32) for value in row) for row in rows]
    place = Place.alone()
    forward = StageForward(Sums(), StageLinks.of(place.layout, place.rank, hidden_size=1))
    measures = lambda sums: token_measures(sums, "masked_accuracy")  # noqa: E731
    return Evaluator(forward, lambda: iter(arrays), Agreement(place), measures, 3)


def test_uneven_batches_count_by_their_positions():
    # A mean of the two batch means would be 4.5.
    result = evaluator([(80.0, 10.0, 10.0), (1.0, 0.0, 1.0)]).run()
    assert result.values["loss"] == pytest.approx(81 / 11)
    assert result.values["masked_accuracy"] == pytest.approx(10 / 11)
    assert result.values["perplexity"] == pytest.approx(math.exp(81 / 11))
    assert result.positions == 11


def test_it_can_be_run_again_and_leaves_training_mode_off():
    twice = evaluator([(3.0, 1.0, 2.0)])
    twice.forward.cell.set_train(True)
    assert twice.run() == twice.run()
    assert not twice.forward.cell.training


def test_a_hopeless_model_has_a_finite_perplexity():
    result = evaluator([(1e6, 0.0, 1.0)]).run()
    assert math.isfinite(result.values["perplexity"])


def test_the_metrics_line_and_its_words():
    result = EvaluationResult({"loss": 1.5, "perplexity": 4.4, "masked_accuracy": 0.25}, 8)
    assert result.metrics(7) == {
        "step": 7,
        "eval_loss": 1.5,
        "eval_perplexity": 4.4,
        "eval_masked_accuracy": 0.25,
    }
    words = "loss 1.5000, perplexity 4.40, masked accuracy 25.00% (8 positions)"
    assert result.describe() == words
