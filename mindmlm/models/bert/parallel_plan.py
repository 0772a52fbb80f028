"""Where BERT is cut for tensor parallelism."""

from mindmlm.models.plan import ParallelPlan

# Attention by heads, the feed-forward part by its inner width: columns first, rows second, so that
# each of the two needs one sum over the parts in the forward pass and one in the backward pass.
TENSOR_PLAN = ParallelPlan(
    cut_axes={
        "bert.layers.*.attention.query.*": 0,
        "bert.layers.*.attention.key.*": 0,
        "bert.layers.*.attention.value.*": 0,
        "bert.layers.*.attention.output.weight": 1,
        "bert.layers.*.intermediate.*": 0,
        "bert.layers.*.output.weight": 1,
    },
    enter=("bert.layers.*.attention", "bert.layers.*.intermediate"),
    leave=("bert.layers.*.attention.output.matmul", "bert.layers.*.output.matmul"),
)

# The rows of the word embedding.
ENCODER_VOCABULARY_PLAN = ParallelPlan(
    cut_axes={"bert.embeddings.word": 0},
    lookups=("bert.embeddings.lookup_word",),
)
# The word embedding is the decoder too, which has a bias.
VOCABULARY_PLAN = ENCODER_VOCABULARY_PLAN + ParallelPlan(
    cut_axes={"head.bias": 0}, enter=("head.decode",)
)
