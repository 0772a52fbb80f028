"""Knowledge distillation: the loss of a student beside a frozen teacher (Sanh et al., 2019).

The form is that of DistilBERT's training program (`distillation/distiller.py`, `step`): a weighted
sum of three means, each over its own positions. A term of weight 0 is not computed.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import mindspore as ms
import numpy as np
from mindspore import nn, ops

from mindmlm.config.schema.bert import BertModelConfig
from mindmlm.data.masking.base import MaskedBatch
from mindmlm.models.bert.heads import BertForMaskedLM
from mindmlm.models.bert.model import BertPart
from mindmlm.models.losses import CosineDistance, SoftTargetDivergence, WeightedCrossEntropy
from mindmlm.models.spans import Span
from mindmlm.parallel.micro_batch import LossTerm
from mindmlm.tasks.mlm import MaskedLMPart

SOFT_TARGETS, MASKED_LM, COSINE = "soft_target_loss", "mlm_loss", "cosine_loss"


@dataclass(frozen=True)
class Objective:
    """What a student learns.

    Args:
        terms: of the loss, any of the three above, with their weights.
        temperature: divides the logits of both models.
        masked_only: soft targets at the predicted positions, not at every token.
    """

    terms: tuple[LossTerm, ...]
    temperature: float
    masked_only: bool

    def counts(self, batch: MaskedBatch, own: slice) -> tuple[float, ...]:
        """Positions of each term in some rows of a batch."""
        tokens = float(batch.input_mask[own].sum())
        predicted = float(batch.masked_lm_weights[own].sum())
        compared = predicted if self.masked_only else tokens
        known = {SOFT_TARGETS: compared, MASKED_LM: predicted, COSINE: tokens}
        return tuple(known[term.name] for term in self.terms)


class Teacher(nn.Cell):
    """A model that is asked and never changed: no gradient, no dropout.

    Args:
        settings: of the model.
        weights: value of each parameter by its name in `BertForMaskedLM`.
    """

    def __init__(self, settings: BertModelConfig, weights: Mapping[str, np.ndarray]) -> None:
        super().__init__()
        without_dropout = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
        rows = weights["bert.embeddings.word"].shape[0]
        teacher = BertForMaskedLM(settings.model_copy(update=without_dropout), rows)
        for value in teacher.get_parameters():
            value.set_data(ms.Tensor(weights[value.name]))
            value.requires_grad = False
        self.teacher = teacher
        self.encoder = BertPart(teacher.bert, teacher.span)

    def construct(
        self,
        x: ms.Tensor,
        input_ids: ms.Tensor,
        input_mask: ms.Tensor,
        segment_ids: ms.Tensor,
        document_ids: ms.Tensor | None = None,
        position_ids: ms.Tensor | None = None,
    ) -> ms.Tensor:
        """Last hidden states [batch * sequence, hidden]; the inputs are those of `BertModel`."""
        keeps = self.encoder.no_keeps
        return ops.stop_gradient(
            self.encoder(x, input_ids, input_mask, segment_ids, keeps, document_ids, position_ids)
        )


class DistillationLoss(nn.Cell):
    """Scaled sums of the terms over one micro-batch.

    Args:
        model: the student; its span has the head.
        teacher: sees the same rows, with the same masks.
        objective: see `Objective`.
        span, packed: see `MaskedLMPart`.
    """

    def __init__(
        self,
        model: BertForMaskedLM,
        teacher: Teacher,
        objective: Objective,
        span: Span | None = None,
        packed: bool = False,
    ) -> None:
        super().__init__(auto_prefix=False)
        self.model = model
        self.teacher = teacher
        self.names = tuple(term.name for term in objective.terms)
        self.masked_only = objective.masked_only
        self.packed = packed
        self.part = MaskedLMPart(model, span, packed)
        self.cross_entropy = WeightedCrossEntropy()
        self.divergence = SoftTargetDivergence(objective.temperature)
        self.distance = CosineDistance()

    def construct(
        self,
        x: ms.Tensor,
        scales: ms.Tensor,
        input_ids: ms.Tensor,
        input_mask: ms.Tensor,
        segment_ids: ms.Tensor,
        positions: ms.Tensor,
        labels: ms.Tensor,
        weights: ms.Tensor,
        *others: ms.Tensor,
    ) -> ms.Tensor:
        """scale * sum over its positions of each term, float32 [terms].

        The inputs are those of `MaskedLMPart`; `scales`, float32 [terms], are those of
        `term_scales`.
        """
        student = self.part(
            x, input_ids, input_mask, segment_ids, positions, labels, weights, *others
        )
        if self.packed:
            known = self.teacher(x, input_ids, input_mask, segment_ids, others[0], others[1])
        else:
            known = self.teacher(x, input_ids, input_mask, segment_ids)
        at_tokens = ops.cast(ops.reshape(input_mask, (-1,)), ms.float32)
        at_predicted = ops.reshape(weights, (-1,))
        wanted = ops.reshape(labels, (-1,))
        if self.masked_only:
            logits = self.model.predict(student, positions)
            targets = self.teacher.teacher.predict(known, positions)
            predicted, compared = logits, at_predicted
        else:
            logits, targets = self.model.score(student), self.teacher.teacher.score(known)
            predicted, compared = self.model.pick(logits, positions), at_tokens
        sums = []
        for name in self.names:
            if name == SOFT_TARGETS:
                value = self.divergence(logits, ops.stop_gradient(targets), compared)[0]
            elif name == MASKED_LM:
                value = self.cross_entropy(predicted, wanted, at_predicted)[0]
            else:
                value = self.distance(student, known, at_tokens)
            sums.append(value)
        return ops.stack(sums) * scales
