"""GPT-2 with the language-model head."""

from mindmlm.build.families.base import Family
from mindmlm.models.gpt2.dropout_sites import dropout_sites
from mindmlm.models.gpt2.heads import GPT2LMHeadModel
from mindmlm.models.gpt2.initialization import initial_deviation
from mindmlm.models.gpt2.model import DROPOUT_SITES_PER_LAYER
from mindmlm.models.gpt2.parallel_plan import TENSOR_PLAN, VOCABULARY_PLAN

GPT2_LM_HEAD_MODEL = Family(
    model=GPT2LMHeadModel,
    tensor_plan=TENSOR_PLAN,
    vocabulary_plan=VOCABULARY_PLAN,
    tied=frozenset({"gpt2.embeddings.word"}),
    vocabulary_rows=("gpt2.embeddings.word",),
    dropout_sites=dropout_sites,
    dropout_sites_per_layer=DROPOUT_SITES_PER_LAYER,
    initial_deviation=initial_deviation,
)
