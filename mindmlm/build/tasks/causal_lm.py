"""Causal language modelling."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from mindspore import nn

from mindmlm.build.generation import build_generator
from mindmlm.build.model import ModelOnRank
from mindmlm.build.tasks.base import EvaluationBatches, LanguageModelTask, TrainingBatches
from mindmlm.config.schema import RunConfig
from mindmlm.data.batches import BatchLayout
from mindmlm.data.causal import CausalBatch, CausalEvalBatches, CausalTrainBatches, RowForm
from mindmlm.data.sampler import GlobalOrder
from mindmlm.data.store import TokenStore
from mindmlm.models.spans import Span
from mindmlm.parallel.agreement import Agreement
from mindmlm.parallel.micro_batch import MicroBatch
from mindmlm.tasks.clm import CausalLMEvaluation, CausalLMLoss, CausalLMPart, batch_arrays
from mindmlm.tokenizers.gpt2 import GPT2Tokenizer
from mindmlm.training.evaluation import EvaluationResult, perplexity, token_measures


class CausalLMTask(LanguageModelTask):
    """Predicting the token that comes next; see `mindmlm.tasks.clm`."""

    def __init__(self, config: RunConfig) -> None:
        super().__init__(config)
        self.packed = not config.train_dataset.attend_across_documents

    def part(self, model: nn.Cell, span: Span | None) -> nn.Cell:
        """See `Task`."""
        return CausalLMPart(model, span, self.packed)

    def loss(self, model: nn.Cell, span: Span) -> nn.Cell:
        """See `Task`."""
        return CausalLMLoss(model, span, self.packed)

    def evaluation(self, model: nn.Cell) -> nn.Cell:
        """See `Task`."""
        return CausalLMEvaluation(model, self.packed)

    def train_batches(
        self, store: TokenStore, tokenizer: GPT2Tokenizer, layout: BatchLayout, steps: int
    ) -> TrainingBatches:
        """See `Task`."""
        section = self.config.train_dataset
        seed = self.config.seed if section.seed is None else section.seed
        order = GlobalOrder(store.num_samples, seed, section.data_loader.shuffle)
        return CausalTrainBatches(store, order, layout, self._form(tokenizer))

    def row_lengths(self) -> list[int]:
        """See `Task`."""
        return [self.config.train_dataset.max_seq_length]

    def row_length(self, batch: CausalBatch) -> int:
        """See `Task`."""
        return batch.input_ids.shape[1]

    def micro_batch(
        self, batch: CausalBatch, own: slice, keeps: tuple[np.ndarray, ...]
    ) -> MicroBatch:
        """See `Task`."""
        predictions = float(batch.weights[own].sum())
        return MicroBatch(
            inputs=tuple(array[own] for array in batch_arrays(batch)),
            keeps=keeps,
            counts=(predictions,),
            tokens=round(predictions),
            rows=batch.input_ids[own].size,
        )

    def evaluation_batches(
        self, store: TokenStore, tokenizer: GPT2Tokenizer, batch_size: int
    ) -> EvaluationBatches:
        """See `Task`."""
        return CausalEvalBatches(store, batch_size, self._form(tokenizer))

    def evaluation_arrays(self, batch: CausalBatch) -> tuple[np.ndarray, ...]:
        """See `Task`."""
        return batch_arrays(batch)

    def measures(self, store: TokenStore, sums: Sequence[float]) -> EvaluationResult:
        """See `Task`; the perplexities of a word and of a byte do not depend on the vocabulary."""
        result = token_measures(sums, "accuracy")
        if store.text is None:
            return result
        sizes = {"word_perplexity": store.text.words, "byte_perplexity": store.text.bytes}
        by_text = {name: perplexity(sums[0] / max(size, 1)) for name, size in sizes.items()}
        return EvaluationResult({**result.values, **by_text}, result.positions)

    def predictor(
        self, model: ModelOnRank, tokenizer: GPT2Tokenizer, agreement: Agreement
    ) -> Callable[[Sequence[str]], list[dict[str, Any]]]:
        """Continuations of texts; see `mindmlm.build.generation`."""
        return build_generator(self.config, model, tokenizer, agreement)

    def _form(self, tokenizer: GPT2Tokenizer) -> RowForm:
        return RowForm(self.config.train_dataset.max_seq_length, tokenizer.end_id, self.packed)
