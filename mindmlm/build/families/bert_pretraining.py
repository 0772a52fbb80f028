"""BERT with the heads for hidden words and for sentence pairs."""

from dataclasses import replace

from mindmlm.build.families.bert import BERT_FOR_MASKED_LM
from mindmlm.models.bert.pretraining import BertForPreTraining

BERT_FOR_PRETRAINING = replace(
    BERT_FOR_MASKED_LM,
    model=BertForPreTraining,
    head_parts=("head.*", "seq_relationship.*", "bert.pooler.*"),
)
