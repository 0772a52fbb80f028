"""What the rest of a run has to know of a model."""

from collections.abc import Callable
from dataclasses import dataclass

from mindspore import nn

from mindmlm.models.dropout import DropoutSite
from mindmlm.models.plan import ParallelPlan

# Sections `model.model_config` of different kinds have no more in common than `NetworkConfig`; each
# function below is called with the kind that its family is made for.


@dataclass(frozen=True)
class Family:
    """A network with its head, as building blocks and as data.

    Attributes:
        model: (settings, vocab_size, span or None) -> a Cell with `span` and `parameters_of(span)`.
        tensor_plan: where it is cut for tensor parallelism.
        vocabulary_plan: where it is cut besides when the word embedding is.
        tied: parameters that the first and the last pipeline stage both have.
        vocabulary_rows: parameters with a row, or a value, for each token.
        dropout_sites: (settings, row length, span, heads here) -> sites, in the model's order.
        dropout_sites_per_layer: how many of them each layer has; the embeddings have one.
        initial_deviation: (settings, parameter name) -> spread of its initial values.
        task_parts: patterns of parameters that the same network for another task need not have.
        head_parts: those of them that this one has; another one with the same takes them over.
    """

    model: Callable[..., nn.Cell]
    tensor_plan: ParallelPlan
    vocabulary_plan: ParallelPlan
    tied: frozenset[str]
    vocabulary_rows: tuple[str, ...]
    dropout_sites: Callable[..., list[DropoutSite]]
    dropout_sites_per_layer: int
    initial_deviation: Callable[..., float]
    task_parts: tuple[str, ...] = ()
    head_parts: tuple[str, ...] = ()
