"""BERT that finds answers."""

from mindmlm.build.families.base import Family
from mindmlm.build.families.bert import BERT_TASK_PARTS, bert_initial_deviation
from mindmlm.models.bert.dropout_sites import dropout_sites
from mindmlm.models.bert.model import DROPOUT_SITES_PER_LAYER
from mindmlm.models.bert.parallel_plan import ENCODER_VOCABULARY_PLAN, TENSOR_PLAN
from mindmlm.models.bert.question_answering import BertForQuestionAnswering

BERT_FOR_QUESTION_ANSWERING = Family(
    model=BertForQuestionAnswering,
    tensor_plan=TENSOR_PLAN,
    vocabulary_plan=ENCODER_VOCABULARY_PLAN,
    tied=frozenset(),
    vocabulary_rows=("bert.embeddings.word",),
    dropout_sites=dropout_sites,
    dropout_sites_per_layer=DROPOUT_SITES_PER_LAYER,
    initial_deviation=bert_initial_deviation,
    task_parts=BERT_TASK_PARTS,
    head_parts=("qa.*",),
)
