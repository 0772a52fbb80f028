"""Where GPT-2 is cut for tensor parallelism."""

from mindmlm.models.plan import ParallelPlan

# As BERT: attention by heads, the feed-forward part by its inner width.
TENSOR_PLAN = ParallelPlan(
    cut_axes={
        "gpt2.layers.*.attention.query.*": 0,
        "gpt2.layers.*.attention.key.*": 0,
        "gpt2.layers.*.attention.value.*": 0,
        "gpt2.layers.*.attention.output.weight": 1,
        "gpt2.layers.*.intermediate.*": 0,
        "gpt2.layers.*.output.weight": 1,
    },
    enter=("gpt2.layers.*.attention", "gpt2.layers.*.intermediate"),
    leave=("gpt2.layers.*.attention.output.matmul", "gpt2.layers.*.output.matmul"),
)

# The rows of the word embedding, which is the decoder too.
VOCABULARY_PLAN = ParallelPlan(
    cut_axes={"gpt2.embeddings.word": 0},
    enter=("decode",),
    lookups=("gpt2.embeddings.lookup_word",),
)
