"""Which layers each pipeline stage has: all stages take about the same time. Pure."""

from functools import lru_cache

from mindmlm.config.schema import BertModelConfig, NetworkConfig
from mindmlm.parallel.balance import balance

# Of a row, BERT predicts 15 %: the share of positions that its head computes on.
PREDICTED_SHARE = 0.15


def layer_costs(settings: NetworkConfig, vocab_size: int, length: int) -> list[float]:
    """Multiplications of the forward pass for a token, by layer.

    The head belongs to the last layer; embeddings cost next to nothing.

    Args:
        settings: the section `model.model_config`.
        vocab_size: rows of the word embedding.
        length: positions of a row.
    """
    costs = encoder_costs(settings, length)
    costs[-1] += _head_cost(settings, vocab_size)
    return costs


def encoder_costs(settings: NetworkConfig, length: int) -> list[float]:
    """As `layer_costs`, without any head."""
    hidden, inner = settings.hidden_size, settings.inner_size
    layer = float(hidden * (4 * hidden + 2 * inner + 2 * length))
    return [layer] * settings.num_hidden_layers


def _head_cost(settings: NetworkConfig, vocab_size: int) -> float:
    hidden = settings.hidden_size
    if isinstance(settings, BertModelConfig):
        return PREDICTED_SHARE * hidden * (hidden + vocab_size)
    return float(hidden * vocab_size)


def stage_bounds(
    settings: NetworkConfig, vocab_size: int, length: int, stages: int
) -> list[tuple[int, int]]:
    """First layer and the one behind the last, from 0, of every stage; see `layer_costs`.

    Raises:
        ValueError: there are fewer layers than stages.
    """
    return list(_balanced(tuple(layer_costs(settings, vocab_size, length)), stages))


@lru_cache(maxsize=256)
def _balanced(costs: tuple[float, ...], stages: int) -> tuple[tuple[int, int], ...]:
    """Planners ask again and again."""
    return tuple(balance(costs, stages))
