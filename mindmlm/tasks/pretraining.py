"""Masked-language modelling together with sentence pairs (Devlin et al. 2018; Lan et al. 2020)."""

import mindspore as ms
import numpy as np
from mindspore import nn, ops

from mindmlm.data.sentence_pairs import PairBatch
from mindmlm.models.bert.pretraining import BertForPreTraining
from mindmlm.models.functional import MostLikely
from mindmlm.models.graph import Graph
from mindmlm.models.losses import WeightedCrossEntropy
from mindmlm.models.spans import Span
from mindmlm.tasks import mlm

# The arrays that come before those of dropout: six of masked-language modelling, two of pairs.
_MASKED, _PAIRS = 6, 2


def batch_arrays(batch: PairBatch) -> tuple[np.ndarray, ...]:
    """The arrays of a batch in the order that the Cells below take them."""
    known = (batch.sample_ids >= 0).astype(np.float32)
    return (*mlm.batch_arrays(batch), batch.next_sentence_labels, known)


class PretrainingPart(nn.Cell):
    """Some of the layers of a model: the activations before them to those behind them.

    Args:
        model: owns the layers.
        span: which layers, by default all that the model has.
    """

    def __init__(self, model: BertForPreTraining, span: Span | None = None) -> None:
        super().__init__(auto_prefix=False)
        self.part = mlm.MaskedLMPart(model, span)

    def construct(self, x: ms.Tensor, *inputs: ms.Tensor) -> ms.Tensor:
        """Activations [batch * sequence, hidden] of the last layer of the span.

        Args:
            x: those of the layer before; anything where the span has the embeddings.
            inputs: those of `MaskedLMPart`; then of pairs labels int32 [batch] and weights float32
                [batch], 0 for rows that only fill up a batch; then dropout masks.
        """
        return self.part(x, *inputs[:_MASKED], *inputs[_MASKED + _PAIRS :])


class PairScores(nn.Cell):
    """Cross-entropy and hits of the pairs, summed over rows.

    In a Cell of its own: two scores are never divided, as those over a vocabulary may be.
    """

    def __init__(self) -> None:
        super().__init__()
        self.cross_entropy = WeightedCrossEntropy()
        self.most_likely = MostLikely()

    def construct(self, scores: ms.Tensor, labels: ms.Tensor, weights: ms.Tensor) -> tuple:
        """scores [batch, 2], the others [batch] -> loss and number correct, scalars."""
        loss, _ = self.cross_entropy(scores, labels, weights)
        hits = ops.cast(ops.equal(self.most_likely(scores), labels), ms.float32)
        return loss, ops.sum(hits * weights)


class PretrainingLoss(nn.Cell):
    """Scaled sums over the chosen positions and over the pairs of one micro-batch.

    Args:
        model, span: see `PretrainingPart`; the span has the heads.
    """

    def __init__(self, model: BertForPreTraining, span: Span | None = None) -> None:
        super().__init__(auto_prefix=False)
        self.model = model
        self.part = PretrainingPart(model, span)
        self.cross_entropy = WeightedCrossEntropy()
        self.pair_scores = PairScores()

    def construct(self, x: ms.Tensor, scale: ms.Tensor, *inputs: ms.Tensor) -> ms.Tensor:
        """scale * (loss of positions, loss of pairs, pairs told right), float32 [3].

        `scale` is loss scale / number of chosen positions, of rows, of rows in the global batch:
        then the first two add up to the loss of `BertForPreTraining` in transformers. The third
        has no gradient. The inputs are those of `PretrainingPart`.
        """
        hidden = self.part(x, *inputs)
        positions, labels, weights, pair_labels, pair_weights = inputs[3 : _MASKED + _PAIRS]
        rows = labels.shape[0] * labels.shape[1]
        masked, _ = self.cross_entropy(
            self.model.predict(hidden, positions),
            ops.reshape(labels, (rows,)),
            ops.reshape(weights, (rows,)),
        )
        scores = self.model.predict_pairs(hidden, pair_labels.shape[0])
        pairs, hits = self.pair_scores(scores, pair_labels, pair_weights)
        return ops.stack((masked, pairs, hits)) * scale


class PretrainingEvaluation(Graph):
    """Sums that evaluation adds up over batches.

    Args:
        model: has the heads.
    """

    def __init__(self, model: BertForPreTraining) -> None:
        super().__init__(auto_prefix=False)
        self.model = model
        self.part = PretrainingPart(model)
        self.cross_entropy = WeightedCrossEntropy()
        self.most_likely = MostLikely()
        self.pair_scores = PairScores()

    def construct(self, x: ms.Tensor, *inputs: ms.Tensor) -> tuple:
        """Return loss, correct predictions and number of positions, then of pairs; scalars."""
        hidden = self.part(x, *inputs)
        positions, labels, weights, pair_labels, pair_weights = inputs[3 : _MASKED + _PAIRS]
        logits = self.model.predict(hidden, positions)
        rows = labels.shape[0] * labels.shape[1]
        flat_labels, flat_weights = ops.reshape(labels, (rows,)), ops.reshape(weights, (rows,))
        masked, _ = self.cross_entropy(logits, flat_labels, flat_weights)
        found = ops.cast(ops.equal(self.most_likely(logits), flat_labels), ms.float32)
        scores = self.model.predict_pairs(hidden, pair_labels.shape[0])
        pairs, hits = self.pair_scores(scores, pair_labels, pair_weights)
        counts = ops.sum(flat_weights), ops.sum(pair_weights)
        return masked, ops.sum(found * flat_weights), counts[0], pairs, hits, counts[1]
