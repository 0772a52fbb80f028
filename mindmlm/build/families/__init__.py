"""The models that can be built, by `model.arch.type`."""

from mindmlm.build.families.base import Family
from mindmlm.build.families.bert import BERT_FOR_MASKED_LM
from mindmlm.build.families.bert_pretraining import BERT_FOR_PRETRAINING
from mindmlm.build.families.bert_qa import BERT_FOR_QUESTION_ANSWERING
from mindmlm.build.families.electra import ELECTRA_FOR_PRE_TRAINING
from mindmlm.build.families.gpt2 import GPT2_LM_HEAD_MODEL
from mindmlm.build.families.roberta import ROBERTA_FOR_MASKED_LM
from mindmlm.config.schema import RunConfig

FAMILIES = {
    "BertForMaskedLM": BERT_FOR_MASKED_LM,
    "BertForPreTraining": BERT_FOR_PRETRAINING,
    "RobertaForMaskedLM": ROBERTA_FOR_MASKED_LM,
    "BertForQuestionAnswering": BERT_FOR_QUESTION_ANSWERING,
    "GPT2LMHeadModel": GPT2_LM_HEAD_MODEL,
    "ElectraForPreTraining": ELECTRA_FOR_PRE_TRAINING,
}


def family_of(config: RunConfig) -> Family:
    """The model that a configuration asks for."""
    return FAMILIES[config.model.arch.type]


__all__ = ["FAMILIES", "Family", "family_of"]
