"""Where BERT drops values, in the order its `construct` takes the masks."""

from mindmlm.config.schema.model import BertModelConfig
from mindmlm.models.dropout import DropoutSite


def dropout_sites(config: BertModelConfig, sequence: int) -> list[DropoutSite]:
    """Sites of an encoder over `sequence` positions: embeddings, then three a layer.

    A site with probability 0 has shape (0,): its mask is never looked at.
    """
    hidden = _site_shape(config.hidden_dropout_prob, (sequence, config.hidden_size))
    scores = (config.num_attention_heads, sequence, sequence)
    probabilities = _site_shape(config.attention_probs_dropout_prob, scores)
    sites = [DropoutSite(0, 0, hidden, config.hidden_dropout_prob)]
    for layer in range(1, config.num_hidden_layers + 1):
        sites += [
            DropoutSite(layer, 0, probabilities, config.attention_probs_dropout_prob),
            DropoutSite(layer, 1, hidden, config.hidden_dropout_prob),
            DropoutSite(layer, 2, hidden, config.hidden_dropout_prob),
        ]
    return sites


def _site_shape(probability: float, shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape if probability > 0.0 else (0,)
