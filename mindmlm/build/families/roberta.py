"""RoBERTa with the masked-language-model head: BERT in all that a run has to know of it."""

from dataclasses import replace

from mindmlm.build.families.bert import BERT_FOR_MASKED_LM
from mindmlm.models.bert.heads import RobertaForMaskedLM

ROBERTA_FOR_MASKED_LM = replace(BERT_FOR_MASKED_LM, model=RobertaForMaskedLM)
