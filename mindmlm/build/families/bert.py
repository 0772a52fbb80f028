"""BERT with the masked-language-model head."""

from mindmlm.build.families.base import Family
from mindmlm.config.schema import BertModelConfig
from mindmlm.models.bert.dropout_sites import dropout_sites
from mindmlm.models.bert.heads import BertForMaskedLM
from mindmlm.models.bert.model import DROPOUT_SITES_PER_LAYER
from mindmlm.models.bert.parallel_plan import TENSOR_PLAN, VOCABULARY_PLAN

BERT_TASK_PARTS = ("head.*", "qa.*", "seq_relationship.*", "bert.pooler.*")


def bert_initial_deviation(settings: BertModelConfig, name: str) -> float:
    """Spread of the initial values of a parameter."""
    return settings.initializer_range


BERT_FOR_MASKED_LM = Family(
    model=BertForMaskedLM,
    tensor_plan=TENSOR_PLAN,
    vocabulary_plan=VOCABULARY_PLAN,
    tied=frozenset({"bert.embeddings.word"}),
    vocabulary_rows=("bert.embeddings.word", "head.bias"),
    dropout_sites=dropout_sites,
    dropout_sites_per_layer=DROPOUT_SITES_PER_LAYER,
    initial_deviation=bert_initial_deviation,
    task_parts=BERT_TASK_PARTS,
    head_parts=("head.*",),
)
