"""GPT-2 with the language-model head."""

from mindmlm.build.families.base import Family
from mindmlm.config.schema import GPT2ModelConfig
from mindmlm.models.gpt2.dropout_sites import dropout_sites
from mindmlm.models.gpt2.heads import GPT2LMHeadModel
from mindmlm.models.gpt2.initialization import initial_deviation
from mindmlm.models.gpt2.model import DROPOUT_SITES_PER_LAYER
from mindmlm.models.gpt2.parallel_plan import TENSOR_PLAN, VOCABULARY_PLAN


def _head_cost(settings: GPT2ModelConfig, vocab_size: int) -> float:
    return float(settings.hidden_size * vocab_size)


GPT2_LM_HEAD_MODEL = Family(
    model=GPT2LMHeadModel,
    tensor_plan=TENSOR_PLAN,
    vocabulary_plan=VOCABULARY_PLAN,
    tied=frozenset({"gpt2.embeddings.word"}),
    vocabulary_rows=("gpt2.embeddings.word",),
    dropout_sites=dropout_sites,
    dropout_sites_per_layer=DROPOUT_SITES_PER_LAYER,
    head_cost=_head_cost,
    initial_deviation=initial_deviation,
)
