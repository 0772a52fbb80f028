"""Masked-language modelling together with sentence pairs."""

from collections.abc import Sequence
from typing import cast

import numpy as np
from mindspore import nn

from mindmlm.build.tasks.masked_lm import MaskedLMTask
from mindmlm.data.masking import MaskedBatch
from mindmlm.data.sentence_pairs import PairBatch
from mindmlm.data.store import TokenStore
from mindmlm.models.bert.pretraining import BertForPreTraining
from mindmlm.models.spans import Span
from mindmlm.parallel.micro_batch import LossTerm, MicroBatch
from mindmlm.tasks.pretraining import (
    PretrainingEvaluation,
    PretrainingLoss,
    PretrainingPart,
    batch_arrays,
)
from mindmlm.training.evaluation import EvaluationResult, perplexity


class PretrainingTask(MaskedLMTask):
    """Predicting hidden tokens and telling pairs apart; see `mindmlm.tasks.pretraining`."""

    terms = (
        LossTerm("masked_lm_loss"),
        LossTerm("sentence_pair_loss"),
        LossTerm("sentence_pair_accuracy", 0.0),
    )
    number_of_sums = 6

    def part(self, model: nn.Cell, span: Span | None) -> nn.Cell:
        """See `Task`."""
        return PretrainingPart(cast(BertForPreTraining, model), span)

    def loss(self, model: nn.Cell, span: Span) -> nn.Cell:
        """See `Task`."""
        return PretrainingLoss(cast(BertForPreTraining, model), span)

    def evaluation(self, model: nn.Cell) -> nn.Cell:
        """See `Task`."""
        return PretrainingEvaluation(cast(BertForPreTraining, model))

    def micro_batch(
        self, batch: MaskedBatch, own: slice, keeps: tuple[np.ndarray, ...]
    ) -> MicroBatch:
        """See `Task`."""
        inputs = tuple(array[own] for array in batch_arrays(cast(PairBatch, batch)))
        pairs = float(inputs[-1].sum())
        return MicroBatch(
            inputs=inputs,
            keeps=keeps,
            counts=(float(batch.masked_lm_weights[own].sum()), pairs, pairs),
            tokens=int(batch.input_mask[own].sum()),
            rows=batch.input_ids[own].size,
        )

    def evaluation_arrays(self, batch: MaskedBatch) -> tuple[np.ndarray, ...]:
        """See `Task`."""
        return batch_arrays(cast(PairBatch, batch))

    def measures(self, store: TokenStore, sums: Sequence[float]) -> EvaluationResult:
        """See `Task`; `loss` is the sum of both, the perplexity that of the hidden tokens."""
        masked_sum, correct, positions, pair_sum, pairs_correct, pairs = sums
        masked, pair = masked_sum / max(positions, 1.0), pair_sum / max(pairs, 1.0)
        values = {
            "loss": masked + pair,
            "perplexity": perplexity(masked),
            "masked_accuracy": correct / max(positions, 1.0),
            "masked_lm_loss": masked,
            "sentence_pair_loss": pair,
            "sentence_pair_accuracy": pairs_correct / max(pairs, 1.0),
        }
        return EvaluationResult(values, round(positions))
