"""Where BERT drops values, in the order its `construct` takes the masks."""

from mindmlm.config.schema.bert import BertModelConfig
from mindmlm.models.dropout import DropoutSite
from mindmlm.models.spans import Span


def dropout_sites(
    config: BertModelConfig, sequence: int, span: Span | None = None, heads: range | None = None
) -> list[DropoutSite]:
    """Sites of an encoder over `sequence` positions: embeddings, then three a layer.

    A site with probability 0 has shape (0,): its mask is never looked at.

    Args:
        config: the model section of the configuration.
        sequence: positions of a row.
        span: the layers that are here, all by default.
        heads: the attention heads that are here, all by default.
    """
    span = span or Span.whole(config.num_hidden_layers)
    hidden = _site_shape(config.hidden_dropout_prob, (sequence, config.hidden_size))
    scores = (config.num_attention_heads, sequence, sequence)
    probability = config.attention_probs_dropout_prob
    probabilities = _site_shape(probability, scores)
    here = heads if probability > 0.0 else None
    sites = [DropoutSite(0, 0, hidden, config.hidden_dropout_prob)] if span.first else []
    for layer in range(span.start + 1, span.stop + 1):
        sites += [
            DropoutSite(layer, 0, probabilities, probability, here),
            DropoutSite(layer, 1, hidden, config.hidden_dropout_prob),
            DropoutSite(layer, 2, hidden, config.hidden_dropout_prob),
        ]
    return sites


def _site_shape(probability: float, shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape if probability > 0.0 else (0,)
