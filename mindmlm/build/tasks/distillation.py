"""A small masked language model that learns from a large one."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from mindspore import nn

from mindmlm.build.model import ModelOnRank
from mindmlm.build.tasks.base import Corpus
from mindmlm.build.tasks.masked_lm import MaskedLMTask
from mindmlm.build.teacher import (
    check_vocabulary,
    config_with_teacher,
    first_student,
    open_teacher,
)
from mindmlm.config.schema import RunConfig
from mindmlm.conversion.starting_point import ForeignCheckpoint
from mindmlm.data.masking import MaskedBatch
from mindmlm.data.prepare import CorpusSettings
from mindmlm.models.spans import Span
from mindmlm.parallel.micro_batch import LossTerm, MicroBatch
from mindmlm.tasks.distillation import (
    COSINE,
    MASKED_LM,
    SOFT_TARGETS,
    DistillationLoss,
    Objective,
    Teacher,
)
from mindmlm.tokenizers.bert import BertTokenizer
from mindmlm.tokenizers.files import AnyTokenizer


class DistillationTask(MaskedLMTask):
    """Predicting hidden tokens as a teacher does; see `mindmlm.tasks.distillation`.

    The student is judged and asked like any other masked language model; only training needs the
    teacher.
    """

    def __init__(self, config: RunConfig) -> None:
        super().__init__(config)
        section = config.distillation
        weights = {
            SOFT_TARGETS: section.alpha_ce,
            MASKED_LM: section.alpha_mlm,
            COSINE: section.alpha_cos,
        }
        self.terms = tuple(LossTerm(name, weight) for name, weight in weights.items() if weight)
        if section.freeze_position_embeddings:
            self.frozen = frozenset({"bert.embeddings.position"})
        self.objective = Objective(self.terms, section.temperature, section.restrict_ce_to_mask)

    def completed(self) -> RunConfig:
        """See `Task`: the vocabulary is the teacher's."""
        return config_with_teacher(self.config, open_teacher(self.config))

    def given_tokenizer(self) -> AnyTokenizer | None:
        """See `Task`."""
        return open_teacher(self.config).tokenizer.tokenizer

    def first_weights(self, model: ModelOnRank) -> ForeignCheckpoint | None:
        """See `Task`: layers of the teacher."""
        return first_student(self.config, open_teacher(self.config), dict.fromkeys(model.names))

    def identity(self) -> dict[str, Any]:
        """See `Task`: a run goes on with the teacher that it began with."""
        return {"teacher_fingerprint": open_teacher(self.config).fingerprint()}

    def prepare(
        self, data: CorpusSettings, tokenizer: BertTokenizer, cache_dir: Path, progress: bool
    ) -> Corpus:
        """See `Task`."""
        check_vocabulary(tokenizer, open_teacher(self.config))
        return super().prepare(data, tokenizer, cache_dir, progress)

    def loss(self, model: nn.Cell, span: Span) -> nn.Cell:
        """See `Task`; the last pipeline stage has the teacher, whole."""
        opened = open_teacher(self.config)
        dtype = {"compute_dtype": self.config.model.settings.compute_dtype}
        teacher = Teacher(opened.settings.model_copy(update=dtype), opened.weights())
        return DistillationLoss(model, teacher, self.objective, span, self.packed)

    def micro_batch(
        self, batch: MaskedBatch, own: slice, keeps: tuple[np.ndarray, ...]
    ) -> MicroBatch:
        """See `Task`."""
        made = super().micro_batch(batch, own, keeps)
        return replace(made, counts=self.objective.counts(batch, own))
