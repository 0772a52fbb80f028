"""Replaced-token detection: the losses of ELECTRA, and what evaluation counts."""

import mindspore as ms
import numpy as np
from mindspore import nn, ops

from mindmlm.data.replaced_tokens import ReplacementBatch
from mindmlm.models.bert.heads import rows_of_positions
from mindmlm.models.electra.model import ElectraForPreTraining
from mindmlm.models.electra.sampling import SampleTokens
from mindmlm.models.functional import MostLikely
from mindmlm.models.graph import Graph
from mindmlm.models.losses import WeightedBinaryCrossEntropy, WeightedCrossEntropy
from mindmlm.tasks import mlm


def batch_arrays(batch: ReplacementBatch) -> tuple[np.ndarray, ...]:
    """The arrays of a batch in the order that the Cells below take them.

    Those of masked-language modelling, with the random numbers of the chosen positions second.
    """
    input_ids, *others = mlm.batch_arrays(batch.masked)
    return (input_ids, batch.draws, *others)


class ReplaceTokens(nn.Cell):
    """Puts sampled tokens where tokens were chosen.

    A chosen position gets the sampled token whether it was hidden or not; it counts as replaced
    only where that is not the original token (`get_fake_data` of google-research/electra).

    Args:
        temperature: see `SampleTokens`.
    """

    def __init__(self, temperature: float) -> None:
        super().__init__()
        self.sample = SampleTokens(temperature)
        self.gather = ops.Gather()
        self.scatter = ops.ScatterNd()

    def construct(
        self,
        logits: ms.Tensor,
        input_ids: ms.Tensor,
        positions: ms.Tensor,
        labels: ms.Tensor,
        weights: ms.Tensor,
        draws: ms.Tensor,
    ) -> tuple:
        """Return (token ids int32 [batch, sequence], replaced float32 [batch * sequence]).

        Args:
            logits: of the generator [batch * predictions, vocab].
            input_ids: int32 [batch, sequence], masked.
            positions, labels: int32 [batch, predictions].
            weights: float32 [batch, predictions], 0 for padding.
            draws: float32 [batch, predictions, 2], see `SampleTokens`.
        """
        flat_ids = ops.reshape(input_ids, (-1,))
        originals = ops.reshape(labels, (-1,))
        counted = ops.cast(ops.reshape(weights, (-1,)), ms.int32)
        sampled = self.sample(logits, ops.reshape(draws, (-1, 2)))
        places = rows_of_positions(positions, input_ids.shape[1])
        # Added, not written: the padding of a row stands at its first position, and adds nothing.
        changes = (sampled - self.gather(flat_ids, places, 0)) * counted
        wrong = ops.cast(ops.not_equal(sampled, originals), ms.int32) * counted
        scattered = self.scatter(
            ops.reshape(places, (-1, 1)), ops.stack((changes, wrong), 1), (flat_ids.shape[0], 2)
        )
        replaced_ids = ops.reshape(flat_ids + scattered[:, 0], input_ids.shape)
        return replaced_ids, ops.cast(scattered[:, 1], ms.float32)


class BothNetworks(nn.Cell):
    """Generator, sampled tokens, discriminator: what losses and measures are made of.

    Args:
        model: both networks.
        temperature: of the sampling.
        packed: the rows hold several documents each, see `batch_arrays`.
    """

    def __init__(
        self, model: ElectraForPreTraining, temperature: float, packed: bool = False
    ) -> None:
        super().__init__(auto_prefix=False)
        self.model = model
        self.packed = packed
        self.replace = ReplaceTokens(temperature)

    def construct(
        self,
        input_ids: ms.Tensor,
        draws: ms.Tensor,
        input_mask: ms.Tensor,
        segment_ids: ms.Tensor,
        positions: ms.Tensor,
        labels: ms.Tensor,
        weights: ms.Tensor,
        *others: ms.Tensor,
    ) -> tuple:
        """Return (generator's logits, discriminator's logits, replaced); see `ReplaceTokens`.

        Args:
            input_ids, input_mask, segment_ids: int32 [batch, sequence].
            draws, positions, labels, weights: see `ReplaceTokens`.
            others: document and position ids of packed rows, then dropout masks.
        """
        documents, places, keeps = None, None, others
        if self.packed:
            documents, places, keeps = others[0], others[1], others[2:]
        logits = self.model.generate(
            input_ids, input_mask, segment_ids, positions, keeps, documents, places
        )
        ids, replaced = self.replace(logits, input_ids, positions, labels, weights, draws)
        scores = self.model.discriminate(ids, input_mask, segment_ids, keeps, documents, places)
        return logits, scores, replaced


class ReplacedTokenLoss(nn.Cell):
    """Scaled sums of both losses of one micro-batch.

    Args:
        model, temperature, packed: see `BothNetworks`.
    """

    def __init__(
        self, model: ElectraForPreTraining, temperature: float, packed: bool = False
    ) -> None:
        super().__init__(auto_prefix=False)
        self.networks = BothNetworks(model, temperature, packed)
        self.cross_entropy = WeightedCrossEntropy()
        self.binary_cross_entropy = WeightedBinaryCrossEntropy()

    def construct(
        self,
        x: ms.Tensor,
        scale: ms.Tensor,
        input_ids: ms.Tensor,
        draws: ms.Tensor,
        input_mask: ms.Tensor,
        segment_ids: ms.Tensor,
        positions: ms.Tensor,
        labels: ms.Tensor,
        weights: ms.Tensor,
        *others: ms.Tensor,
    ) -> ms.Tensor:
        """scale * (generator's sum over chosen positions, discriminator's over tokens).

        Args:
            x: not looked at.
            scale: float32 [2], loss scale * weight of a loss / its count in the global batch.
            input_ids and all that follow: see `BothNetworks`.

        Returns:
            float32 [2].
        """
        logits, scores, replaced = self.networks(
            input_ids, draws, input_mask, segment_ids, positions, labels, weights, *others
        )
        generator, _ = self.cross_entropy(
            logits, ops.reshape(labels, (-1,)), ops.reshape(weights, (-1,))
        )
        tokens = ops.cast(ops.reshape(input_mask, (-1,)), ms.float32)
        discriminator = self.binary_cross_entropy(scores, replaced, tokens)
        return ops.stack((generator, discriminator)) * scale


class ReplacedTokenEvaluation(Graph):
    """Sums that evaluation adds up over batches.

    Args:
        model, temperature, packed: see `BothNetworks`.
    """

    def __init__(
        self, model: ElectraForPreTraining, temperature: float, packed: bool = False
    ) -> None:
        super().__init__(auto_prefix=False)
        self.networks = BothNetworks(model, temperature, packed)
        self.cross_entropy = WeightedCrossEntropy()
        self.binary_cross_entropy = WeightedBinaryCrossEntropy()
        self.most_likely = MostLikely()

    def construct(
        self,
        x: ms.Tensor,
        input_ids: ms.Tensor,
        draws: ms.Tensor,
        input_mask: ms.Tensor,
        segment_ids: ms.Tensor,
        positions: ms.Tensor,
        labels: ms.Tensor,
        weights: ms.Tensor,
        *others: ms.Tensor,
    ) -> tuple:
        """Return float32 scalars in the order of `SUMS`; the inputs are those of the loss."""
        logits, scores, replaced = self.networks(
            input_ids, draws, input_mask, segment_ids, positions, labels, weights, *others
        )
        flat_labels, chosen = ops.reshape(labels, (-1,)), ops.reshape(weights, (-1,))
        generator, _ = self.cross_entropy(logits, flat_labels, chosen)
        filled = ops.cast(ops.equal(self.most_likely(logits), flat_labels), ms.float32)
        tokens = ops.cast(ops.reshape(input_mask, (-1,)), ms.float32)
        discriminator = self.binary_cross_entropy(scores, replaced, tokens)
        # A logit above 0 is a probability above one half.
        found = ops.cast(ops.greater(scores, 0.0), ms.float32) * tokens
        return (
            generator,
            ops.sum(filled * chosen),
            ops.sum(chosen),
            discriminator,
            ops.sum(tokens),
            ops.sum(replaced),
            ops.sum(found),
            ops.sum(found * replaced),
        )


SUMS = (
    "generator_loss",
    "filled",
    "chosen",
    "discriminator_loss",
    "tokens",
    "replaced",
    "called_replaced",
    "found",
)
