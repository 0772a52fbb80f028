"""BERT with the masked-language-model head."""

from mindmlm.build.families.base import Family
from mindmlm.config.schema import BertModelConfig
from mindmlm.models.bert.dropout_sites import dropout_sites
from mindmlm.models.bert.heads import BertForMaskedLM
from mindmlm.models.bert.model import DROPOUT_SITES_PER_LAYER
from mindmlm.models.bert.parallel_plan import TENSOR_PLAN, VOCABULARY_PLAN

# Of a row, BERT predicts 15 %: the share of positions that the head computes on.
_PREDICTED_SHARE = 0.15


def _head_cost(settings: BertModelConfig, vocab_size: int) -> float:
    return _PREDICTED_SHARE * settings.hidden_size * (settings.hidden_size + vocab_size)


def _initial_deviation(settings: BertModelConfig, name: str) -> float:
    return settings.initializer_range


BERT_FOR_MASKED_LM = Family(
    model=BertForMaskedLM,
    tensor_plan=TENSOR_PLAN,
    vocabulary_plan=VOCABULARY_PLAN,
    tied=frozenset({"bert.embeddings.word"}),
    vocabulary_rows=("bert.embeddings.word", "head.bias"),
    dropout_sites=dropout_sites,
    dropout_sites_per_layer=DROPOUT_SITES_PER_LAYER,
    head_cost=_head_cost,
    initial_deviation=_initial_deviation,
)
