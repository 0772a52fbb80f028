"""Replaced-token detection."""

from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
from mindspore import nn

from mindmlm.build.model import ModelOnRank
from mindmlm.build.tasks.base import EvaluationBatches, LanguageModelTask, TrainingBatches
from mindmlm.build.tasks.masked_lm import MaskedLMTask
from mindmlm.config.schema import RunConfig
from mindmlm.data.batches import BatchLayout
from mindmlm.data.prepare_records import SampleStore
from mindmlm.data.replaced_tokens import (
    ReplacementBatch,
    ReplacementEvalBatches,
    ReplacementTrainBatches,
)
from mindmlm.data.store import TokenStore
from mindmlm.inference.replaced_tokens import FindReplaced
from mindmlm.models.electra.model import ElectraForPreTraining
from mindmlm.models.spans import Span
from mindmlm.parallel.agreement import Agreement
from mindmlm.parallel.micro_batch import LossTerm, MicroBatch
from mindmlm.tasks.rtd import SUMS, ReplacedTokenEvaluation, ReplacedTokenLoss, batch_arrays
from mindmlm.tokenizers.bert import BertTokenizer
from mindmlm.training.evaluation import EvaluationResult, token_measures


class ReplacedTokenTask(LanguageModelTask):
    """A generator fills in blanks, a discriminator finds what is not the original token.

    The rows and their masks are those of masked-language modelling; see `mindmlm.tasks.rtd`.
    """

    number_of_sums = len(SUMS)

    def __init__(self, config: RunConfig) -> None:
        super().__init__(config)
        self.rows = MaskedLMTask(config)
        self.objective = config.electra
        self.terms = (
            LossTerm("generator_loss", self.objective.gen_weight),
            LossTerm("discriminator_loss", self.objective.disc_weight),
        )

    def part(self, model: nn.Cell, span: Span | None) -> nn.Cell:
        """Never asked for: the model is not cut into stages and its layers are not recomputed."""
        raise AssertionError("ELECTRA has no parts: a check of the configuration refuses them")

    def loss(self, model: nn.Cell, span: Span) -> nn.Cell:
        """See `Task`."""
        return ReplacedTokenLoss(model, self.objective.temperature, self.rows.packed)

    def evaluation(self, model: nn.Cell) -> nn.Cell:
        """See `Task`."""
        return ReplacedTokenEvaluation(model, self.objective.temperature, self.rows.packed)

    def train_batches(
        self, store: SampleStore, tokenizer: BertTokenizer, layout: BatchLayout, steps: int
    ) -> TrainingBatches:
        """See `Task`."""
        masked = self.rows.train_batches(store, tokenizer, layout, steps)
        return ReplacementTrainBatches(masked, self.config.seed)

    def row_lengths(self) -> list[int]:
        """See `Task`."""
        return self.rows.row_lengths()

    def row_length(self, batch: ReplacementBatch) -> int:
        """See `Task`."""
        return self.rows.row_length(batch.masked)

    def micro_batch(
        self, batch: ReplacementBatch, own: slice, keeps: tuple[np.ndarray, ...]
    ) -> MicroBatch:
        """See `Task`; the generator counts chosen positions, the discriminator all tokens."""
        masked = batch.masked
        tokens = int(masked.input_mask[own].sum())
        return MicroBatch(
            inputs=tuple(array[own] for array in batch_arrays(batch)),
            keeps=keeps,
            counts=(float(masked.masked_lm_weights[own].sum()), float(tokens)),
            tokens=tokens,
            rows=masked.input_ids[own].size,
        )

    def evaluation_batches(
        self, store: TokenStore, tokenizer: BertTokenizer, batch_size: int
    ) -> EvaluationBatches:
        """See `Task`."""
        return ReplacementEvalBatches(self.rows.evaluation_batches(store, tokenizer, batch_size))

    def evaluation_arrays(self, batch: ReplacementBatch) -> tuple[np.ndarray, ...]:
        """See `Task`."""
        return batch_arrays(batch)

    def measures(self, store: TokenStore, sums: Sequence[float]) -> EvaluationResult:
        """See `Task`; the perplexity and the masked accuracy are the generator's."""
        found = dict(zip(SUMS, sums, strict=True))
        generator = token_measures(
            (found["generator_loss"], found["filled"], found["chosen"]), "masked_accuracy"
        )
        tokens = max(found["tokens"], 1.0)
        missed = found["replaced"] + found["called_replaced"] - 2.0 * found["found"]
        losses = (generator.values["loss"], found["discriminator_loss"] / tokens)
        weights = (self.objective.gen_weight, self.objective.disc_weight)
        values = {
            **generator.values,
            "loss": sum(weight * loss for weight, loss in zip(weights, losses, strict=True)),
            "generator_loss": losses[0],
            "discriminator_loss": losses[1],
            "replaced_share": found["replaced"] / tokens,
            "replaced_accuracy": 1.0 - missed / tokens,
            "replaced_precision": found["found"] / max(found["called_replaced"], 1.0),
            "replaced_recall": found["found"] / max(found["replaced"], 1.0),
        }
        return EvaluationResult(values, round(found["tokens"]), "tokens")

    def predictor(
        self, model: ModelOnRank, tokenizer: BertTokenizer, agreement: Agreement
    ) -> Callable[[Sequence[str]], list[dict[str, Any]]]:
        """See `FindReplaced`; the model must be whole."""
        return FindReplaced(
            cast(ElectraForPreTraining, model.cell),
            tokenizer,
            self.config.model.settings.max_position_embeddings,
            self.config.runner_config.batch_size,
        )
