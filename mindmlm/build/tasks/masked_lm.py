"""Masked-language modelling."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from mindspore import nn

from mindmlm.build.model import ModelOnRank
from mindmlm.build.tasks.base import EvaluationBatches, LanguageModelTask, TrainingBatches
from mindmlm.build_data.masking import masking_settings
from mindmlm.build_data.rows import isolates_documents
from mindmlm.config.schema import RunConfig
from mindmlm.data.batches import BatchLayout, EvalBatches, TrainBatches
from mindmlm.data.bucketing import BucketedBatches
from mindmlm.data.masking import MaskedBatch, VocabularyInfo
from mindmlm.data.prepare_records import SampleStore
from mindmlm.data.row_store import RowStore
from mindmlm.data.sampler import GlobalOrder
from mindmlm.data.sentence_pairs.store import PairStore
from mindmlm.data.static_batches import StaticBatches
from mindmlm.data.store import TokenStore
from mindmlm.errors import ConfigError
from mindmlm.inference.fill_mask import FillMask
from mindmlm.models.spans import Span
from mindmlm.parallel.agreement import Agreement
from mindmlm.parallel.micro_batch import MicroBatch
from mindmlm.tasks.mlm import MaskedLMEvaluation, MaskedLMLoss, MaskedLMPart, batch_arrays
from mindmlm.tokenizers.files import MaskingTokenizer
from mindmlm.training.evaluation import EvaluationResult, token_measures

AnyStore = SampleStore | PairStore


class MaskedLMTask(LanguageModelTask):
    """Predicting hidden tokens; see `mindmlm.tasks.mlm`."""

    def __init__(self, config: RunConfig) -> None:
        super().__init__(config)
        self.packed = isolates_documents(config)

    def part(self, model: nn.Cell, span: Span | None) -> nn.Cell:
        """See `Task`."""
        return MaskedLMPart(model, span, self.packed)

    def loss(self, model: nn.Cell, span: Span) -> nn.Cell:
        """See `Task`."""
        return MaskedLMLoss(model, span, self.packed)

    def evaluation(self, model: nn.Cell) -> nn.Cell:
        """See `Task`."""
        return MaskedLMEvaluation(model, self.packed)

    def train_batches(
        self, store: AnyStore, tokenizer: MaskingTokenizer, layout: BatchLayout, steps: int
    ) -> TrainingBatches:
        """See `Task`; masked when they are made, unless the samples are masked rows."""
        config, section = self.config, self.config.train_dataset
        seed = config.seed if section.seed is None else section.seed
        shuffle = section.data_loader.shuffle
        order = GlobalOrder(store.num_samples, seed, shuffle)
        if isinstance(store, RowStore):
            if section.bucket_lengths:
                raise ConfigError(
                    "train_dataset.bucket_lengths: rows that were masked when they were built have "
                    "one length; build them with --dynamic, or remove bucket_lengths"
                )
            return StaticBatches(store, order, layout)
        masking = masking_settings(config, tokenizer, store, steps)
        vocabulary = VocabularyInfo.from_tokenizer(tokenizer)
        if section.bucket_lengths:
            assert isinstance(store, TokenStore)
            lengths = self.row_lengths()
            return BucketedBatches(store, masking, vocabulary, layout, lengths, seed, shuffle)
        return TrainBatches(store, order, masking, vocabulary, layout, section.max_seq_length, seed)

    def row_lengths(self) -> list[int]:
        """See `Task`."""
        section = self.config.train_dataset
        return [*section.bucket_lengths, section.max_seq_length]

    def row_length(self, batch: MaskedBatch) -> int:
        """See `Task`."""
        return batch.input_ids.shape[1]

    def micro_batch(
        self, batch: MaskedBatch, own: slice, keeps: tuple[np.ndarray, ...]
    ) -> MicroBatch:
        """See `Task`."""
        return MicroBatch(
            inputs=tuple(array[own] for array in batch_arrays(batch)),
            keeps=keeps,
            counts=(float(batch.masked_lm_weights[own].sum()),),
            tokens=int(batch.input_mask[own].sum()),
            rows=batch.input_ids[own].size,
        )

    def evaluation_batches(
        self, store: TokenStore | PairStore, tokenizer: MaskingTokenizer, batch_size: int
    ) -> EvaluationBatches:
        """See `Task`."""
        vocabulary = VocabularyInfo.from_tokenizer(tokenizer)
        return EvalBatches(store, vocabulary, batch_size, self.config.train_dataset.max_seq_length)

    def evaluation_arrays(self, batch: MaskedBatch) -> tuple[np.ndarray, ...]:
        """See `Task`."""
        return batch_arrays(batch)

    def measures(self, store: TokenStore, sums: Sequence[float]) -> EvaluationResult:
        """See `Task`."""
        return token_measures(sums, "masked_accuracy")

    def predictor(
        self, model: ModelOnRank, tokenizer: MaskingTokenizer, agreement: Agreement
    ) -> Callable[[Sequence[str]], list[dict[str, Any]]]:
        """See `FillMask`; the model must be whole."""
        longest = self.config.model.settings.longest_row
        return FillMask(model.cell, tokenizer, longest, self.config.runner_config.batch_size)
