"""Where GPT-2 drops values, in the order its `construct` takes the masks."""

from mindmlm.config.schema.gpt2 import GPT2ModelConfig
from mindmlm.models.dropout import DropoutSite
from mindmlm.models.spans import Span


def dropout_sites(
    config: GPT2ModelConfig, sequence: int, span: Span | None = None, heads: range | None = None
) -> list[DropoutSite]:
    """Sites of a decoder over `sequence` positions: embeddings, then three a layer.

    A site with probability 0 has shape (0,): its mask is never looked at.

    Args:
        config: the model section of the configuration.
        sequence: positions of a row.
        span: the layers that are here, all by default.
        heads: the attention heads that are here, all by default.
    """
    span = span or Span.whole(config.num_hidden_layers)
    features = (sequence, config.hidden_size)
    scores = (config.num_attention_heads, sequence, sequence)
    sites = [_site(0, 0, features, config.embedding_dropout_prob)] if span.first else []
    for layer in range(span.start + 1, span.stop + 1):
        sites += [
            _site(layer, 0, scores, config.attention_probs_dropout_prob, heads),
            _site(layer, 1, features, config.hidden_dropout_prob),
            _site(layer, 2, features, config.hidden_dropout_prob),
        ]
    return sites


def _site(
    layer: int, name: int, shape: tuple[int, ...], probability: float, here: range | None = None
) -> DropoutSite:
    if probability == 0.0:
        return DropoutSite(layer, name, (0,), 0.0)
    return DropoutSite(layer, name, shape, probability, here)
