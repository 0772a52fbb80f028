"""ELECTRA with both of its networks."""

from mindmlm.build.families.base import Family
from mindmlm.config.schema import ElectraModelConfig
from mindmlm.models.bert.model import DROPOUT_SITES_PER_LAYER
from mindmlm.models.electra.dropout_sites import dropout_sites
from mindmlm.models.electra.model import ElectraForPreTraining
from mindmlm.models.electra.parallel_plan import NOT_CUT


def electra_initial_deviation(settings: ElectraModelConfig, name: str) -> float:
    """Spread of the initial values of a parameter."""
    return settings.initializer_range


ELECTRA_FOR_PRE_TRAINING = Family(
    model=ElectraForPreTraining,
    tensor_plan=NOT_CUT,
    vocabulary_plan=NOT_CUT,
    tied=frozenset(),
    vocabulary_rows=("embeddings.word", "generator_head.bias"),
    dropout_sites=dropout_sites,
    dropout_sites_per_layer=DROPOUT_SITES_PER_LAYER,
    initial_deviation=electra_initial_deviation,
)
