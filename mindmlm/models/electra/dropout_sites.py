"""Where ELECTRA drops values, in the order its `construct` takes the masks."""

from dataclasses import replace

from mindmlm.config.schema.bert import BertModelConfig
from mindmlm.config.schema.electra import ElectraModelConfig
from mindmlm.models.bert.dropout_sites import dropout_sites as bert_sites
from mindmlm.models.dropout import DropoutSite
from mindmlm.models.spans import Span


def dropout_sites(
    config: ElectraModelConfig, sequence: int, span: Span | None = None, heads: range | None = None
) -> list[DropoutSite]:
    """Sites of the generator, then those of the discriminator; each has the embeddings' first.

    Args:
        config: the model section of the configuration.
        sequence: positions of a row.
        span: the layers that are here: all of them.
        heads: the attention heads that are here: all of them.
    """
    generator = _sites(config.generator(), config.embedding_size, sequence)
    # Numbers that the generator's layers do not have, so that no two masks are alike.
    first = config.generator().num_hidden_layers + 1
    discriminator = _sites(config.discriminator(), config.embedding_size, sequence)
    return generator + [replace(site, layer=site.layer + first) for site in discriminator]


def _sites(network: BertModelConfig, embedding_size: int, sequence: int) -> list[DropoutSite]:
    embeddings, *layers = bert_sites(network, sequence)
    if embeddings.probability > 0.0:
        embeddings = replace(embeddings, shape=(sequence, embedding_size))
    return [embeddings, *layers]
