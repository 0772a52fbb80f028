"""ELECTRA: generator and discriminator on shared embeddings (Clark et al. 2020, section 2)."""

import mindspore as ms
from mindspore import Parameter, nn, ops

from mindmlm.config.schema.bert import BertModelConfig
from mindmlm.config.schema.electra import ElectraModelConfig
from mindmlm.models.bert.heads import MaskedLMHead, rows_of_positions
from mindmlm.models.bert.model import DROPOUT_SITES_PER_LAYER, BertEmbeddings, BertLayer, LayerStack
from mindmlm.models.layers import Activation, Dense, document_bias, padding_bias
from mindmlm.models.spans import Span


class ElectraEncoder(LayerStack):
    """Layers of BERT behind embeddings that may have another width.

    Args:
        network: the layers.
        embedding_size: columns of what comes in; projected where `hidden_size` is another number.
    """

    def __init__(self, network: BertModelConfig, embedding_size: int) -> None:
        super().__init__()
        self.projects = embedding_size != network.hidden_size
        if self.projects:
            self.projection = Dense(embedding_size, network.hidden_size, network.compute_dtype)
        self.layers = nn.CellList([BertLayer(network) for _ in range(network.num_hidden_layers)])

    def construct(self, x: ms.Tensor, bias: ms.Tensor, keeps: tuple) -> ms.Tensor:
        """Return [batch * sequence, hidden].

        Args:
            x: embeddings [batch * sequence, embedding].
            bias: of the attention scores, see `SelfAttention`.
            keeps: dropout masks, three a layer.
        """
        if self.projects:
            x = self.projection(x)
        return self.through_layers(x, bias, keeps, 0)


class DiscriminatorHead(nn.Cell):
    """Dense, activation, and one number a position (`get_discriminator_output` of ELECTRA)."""

    def __init__(self, network: BertModelConfig) -> None:
        super().__init__()
        self.dense = Dense(network.hidden_size, network.hidden_size, network.compute_dtype)
        self.activation = Activation(network.hidden_act)
        self.prediction = Dense(network.hidden_size, 1, network.compute_dtype)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """[rows, hidden] -> logits [rows] of a token being replaced."""
        return ops.reshape(self.prediction(self.activation(self.dense(x))), (-1,))


class ElectraForPreTraining(nn.Cell):
    """Both networks. The generator fills in blanks, the discriminator finds what it got wrong.

    Token, position and segment embeddings with their normalisation are one set, trained by both
    (`untied_generator_embeddings` False in google-research/electra); the generator's decoder is the
    word embedding.

    Args:
        config: the model section of the configuration.
        vocab_size: rows of the word embedding.
        span: all layers; this model is not cut into stages.
    """

    def __init__(
        self, config: ElectraModelConfig, vocab_size: int, span: Span | None = None
    ) -> None:
        super().__init__()
        self.config = config
        self.span = span or Span.whole(config.num_hidden_layers)
        if not (self.span.first and self.span.last):
            raise ValueError(f"ELECTRA is not cut into stages: {self.span}")
        generator, discriminator = config.generator(), config.discriminator()
        size = config.embedding_size
        self.generator_masks = _masks(generator)
        self.no_keeps = (None,) * (self.generator_masks + _masks(discriminator))
        self.embeddings = BertEmbeddings(discriminator, vocab_size, size)
        self.generator = ElectraEncoder(generator, size)
        self.generator_head = MaskedLMHead(generator, vocab_size, size)
        self.discriminator = ElectraEncoder(discriminator, size)
        self.discriminator_head = DiscriminatorHead(discriminator)
        self.gather = ops.Gather()

    def parameters_of(self, span: Span) -> list[Parameter]:
        """Trained parameters; the span is the whole model."""
        return self.trainable_params()

    def masks(self, keeps: tuple) -> tuple:
        """Dropout masks as given in training, placeholders outside; the generator's come first."""
        return keeps if self.training else self.no_keeps

    def generate(
        self,
        input_ids: ms.Tensor,
        input_mask: ms.Tensor,
        segment_ids: ms.Tensor,
        positions: ms.Tensor,
        keeps: tuple,
        document_ids: ms.Tensor | None = None,
        position_ids: ms.Tensor | None = None,
    ) -> ms.Tensor:
        """The generator's logits at chosen positions, [batch * predictions, vocab].

        Args:
            input_ids, input_mask, segment_ids: int32 [batch, sequence].
            positions: int32 [batch, predictions], columns of each row.
            keeps: dropout masks in the order of `dropout_sites`; outside training maybe empty.
            document_ids, position_ids: of rows of several documents, see `BertModel`.
        """
        keeps = self.masks(keeps)
        bias = padding_bias(input_mask) if document_ids is None else document_bias(document_ids)
        x = self.embeddings(input_ids, segment_ids, keeps[0], position_ids)
        x = self.generator(x, bias, keeps[1 : self.generator_masks])
        rows = rows_of_positions(positions, input_ids.shape[1])
        return self.generator_head(self.gather(x, rows, 0), self.embeddings.word)

    def discriminate(
        self,
        input_ids: ms.Tensor,
        input_mask: ms.Tensor,
        segment_ids: ms.Tensor,
        keeps: tuple,
        document_ids: ms.Tensor | None = None,
        position_ids: ms.Tensor | None = None,
    ) -> ms.Tensor:
        """The discriminator's logits of all positions, [batch * sequence]; see `generate`."""
        keeps = self.masks(keeps)
        first = self.generator_masks
        bias = padding_bias(input_mask) if document_ids is None else document_bias(document_ids)
        x = self.embeddings(input_ids, segment_ids, keeps[first], position_ids)
        return self.discriminator_head(self.discriminator(x, bias, keeps[first + 1 :]))

    def construct(
        self, input_ids: ms.Tensor, input_mask: ms.Tensor, segment_ids: ms.Tensor, keeps: tuple
    ) -> ms.Tensor:
        """What ELECTRA is used as: see `discriminate`."""
        return self.discriminate(input_ids, input_mask, segment_ids, keeps)


def _masks(network: BertModelConfig) -> int:
    """Dropout masks of an encoder: one behind the embeddings, three a layer."""
    return 1 + DROPOUT_SITES_PER_LAYER * network.num_hidden_layers
