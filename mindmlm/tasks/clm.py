"""Causal language modelling: the loss on the next token, and what evaluation counts."""

from typing import TYPE_CHECKING

import mindspore as ms
import numpy as np
from mindspore import nn, ops

from mindmlm.models.functional import MostLikely
from mindmlm.models.gpt2.heads import GPT2LMHeadModel
from mindmlm.models.gpt2.model import GPT2Part
from mindmlm.models.graph import Graph
from mindmlm.models.losses import WeightedCrossEntropy
from mindmlm.models.spans import Span

if TYPE_CHECKING:
    from mindmlm.data.causal import CausalBatch


def batch_arrays(batch: "CausalBatch") -> tuple[np.ndarray, ...]:
    """The arrays of a batch in the order that the Cells below take them.

    Rows whose documents are kept apart add theirs at the end; the Cells must be made with
    ``packed`` then.
    """
    arrays = (batch.input_ids, batch.labels, batch.weights)
    if batch.document_ids is None or batch.position_ids is None:
        return arrays
    return (*arrays, batch.document_ids, batch.position_ids)


class CausalLMPart(nn.Cell):
    """Some of the layers of a model: the activations before them to those behind them.

    Args:
        model: owns the layers.
        span: which layers, by default all that the model has.
        packed: the documents of a row are kept apart, see `batch_arrays`.
    """

    def __init__(
        self, model: GPT2LMHeadModel, span: Span | None = None, packed: bool = False
    ) -> None:
        super().__init__(auto_prefix=False)
        self.decoder = GPT2Part(model.gpt2, span or model.span)
        self.packed = packed

    def construct(
        self,
        x: ms.Tensor,
        input_ids: ms.Tensor,
        labels: ms.Tensor,
        weights: ms.Tensor,
        *others: ms.Tensor,
    ) -> ms.Tensor:
        """Activations [batch * sequence, hidden] of the last layer of the span.

        Args:
            x: those of the layer before; anything where the span has the embeddings.
            input_ids: int32 [batch, sequence].
            labels: int32 [batch, sequence], the token after each.
            weights: float32 [batch, sequence], 0 where nothing is to be predicted.
            others: document and position ids of packed rows, then dropout masks.
        """
        if self.packed:
            return self.decoder(x, input_ids, others[2:], others[0], others[1])
        return self.decoder(x, input_ids, others)


class CausalLMLoss(nn.Cell):
    """Scaled sum of the cross-entropy over the positions of one micro-batch.

    Args:
        model, span, packed: see `CausalLMPart`; the span has the head.
    """

    def __init__(
        self, model: GPT2LMHeadModel, span: Span | None = None, packed: bool = False
    ) -> None:
        super().__init__(auto_prefix=False)
        self.model = model
        self.part = CausalLMPart(model, span, packed)
        self.cross_entropy = WeightedCrossEntropy()

    def construct(
        self,
        x: ms.Tensor,
        scale: ms.Tensor,
        input_ids: ms.Tensor,
        labels: ms.Tensor,
        weights: ms.Tensor,
        *others: ms.Tensor,
    ) -> ms.Tensor:
        """scale * sum(weight * -log p(label)), float32 [1]; the inputs are those of `CausalLMPart`.

        `scale`, float32 [1], is loss scale / number of predicted positions in the global batch.
        """
        hidden = self.part(x, input_ids, labels, weights, *others)
        loss, _ = self.cross_entropy(
            self.model.predict(hidden), ops.reshape(labels, (-1,)), ops.reshape(weights, (-1,))
        )
        return loss * scale


class CausalLMEvaluation(Graph):
    """Sums that evaluation adds up over batches: loss, correct predictions, positions.

    Args:
        model, packed: see `CausalLMPart`; the model has the head.
    """

    def __init__(self, model: GPT2LMHeadModel, packed: bool = False) -> None:
        super().__init__(auto_prefix=False)
        self.model = model
        self.part = CausalLMPart(model, None, packed)
        self.cross_entropy = WeightedCrossEntropy()
        self.most_likely = MostLikely()

    def construct(
        self,
        x: ms.Tensor,
        input_ids: ms.Tensor,
        labels: ms.Tensor,
        weights: ms.Tensor,
        *others: ms.Tensor,
    ) -> tuple:
        """Return (loss sum, number correct, number of positions), float32 scalars."""
        hidden = self.part(x, input_ids, labels, weights, *others)
        logits = self.model.predict(hidden)
        flat_labels, flat_weights = ops.reshape(labels, (-1,)), ops.reshape(weights, (-1,))
        loss, _ = self.cross_entropy(logits, flat_labels, flat_weights)
        hits = ops.cast(ops.equal(self.most_likely(logits), flat_labels), ms.float32)
        return loss, ops.sum(hits * flat_weights), ops.sum(flat_weights)
