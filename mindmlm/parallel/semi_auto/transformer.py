"""Layers, embeddings and the loss of the models, written as operators. Pure.

The numbers are those of `mindmlm.models.layers` and `mindmlm.tasks`; the operators are others, as
MindSpore's engine cuts each operator by itself and cannot see into a gradient written by hand.
"""

from dataclasses import dataclass

import numpy as np

from mindmlm.config.schema import NetworkConfig
from mindmlm.models.plan import ParallelPlan
from mindmlm.parallel.layout import ParallelLayout
from mindmlm.parallel.semi_auto.builder import Builder, Program
from mindmlm.parallel.semi_auto.operators import Value

_MASKED_SCORE = -1.0e9


@dataclass(frozen=True)
class Frame:
    """What all blocks of a network have in common.

    Args:
        settings: the section `model.model_config`.
        vocab_size: rows of the word embedding.
        layout: of the ranks.
        plan: along which axis each parameter is cut.
        batch: rows of a micro-batch over all data-parallel ranks.
        sequence: positions of a row.
        packed: rows hold several documents that do not see each other.
    """

    settings: NetworkConfig
    vocab_size: int
    layout: ParallelLayout
    plan: ParallelPlan
    batch: int
    sequence: int
    packed: bool = False

    @property
    def rows(self) -> int:
        """Rows of the activations."""
        return self.batch * self.sequence

    def builder(self, name: str) -> Builder:
        """Of the block `name`."""
        return Builder(name, self.layout, self.plan)


@dataclass(frozen=True)
class LayerNames:
    """What two norms of a layer are called in a model, and where they stand.

    Args:
        prefix: of the parameters of a layer, before its number.
        attention_norm, output_norm: of the attention and of the feed-forward part.
        norm_first: whether they stand before these, or behind the residual.
    """

    prefix: str
    attention_norm: str
    output_norm: str
    norm_first: bool


def layer_program(frame: Frame, names: LayerNames, number: int) -> Program:
    """Layer `number`, from 0: (x, what its score bias is made of, its dropout masks) -> x."""
    build, settings = frame.builder(f"layers.{number}"), frame.settings
    prefix, hidden = f"{names.prefix}.{number}", settings.hidden_size
    x = build.input("x", (frame.rows, hidden))
    bias = _score_bias(frame, build)
    keeps = _keep_inputs(frame, build)

    def norm(name: str, value: Value) -> Value:
        return build.norm(name, value, f"{prefix}.{name}", settings.layer_norm_eps)

    first = norm(names.attention_norm, x) if names.norm_first else x
    attended = _attention(frame, build, f"{prefix}.attention", first, bias, keeps)
    attended = _dropped(build, "attention_dropout", attended, keeps, "keep_attention", settings)
    x = build.apply("attention_sum", "Add", x, attended)
    if not names.norm_first:
        x = norm(names.attention_norm, x)
    inner = norm(names.output_norm, x) if names.norm_first else x
    made = _feed_forward(build, settings, prefix, inner)
    made = _dropped(build, "output_dropout", made, keeps, "keep_output", settings)
    x = build.apply("output_sum", "Add", x, made)
    return build.program(x if names.norm_first else norm(names.output_norm, x))


def _score_bias(frame: Frame, build: Builder) -> Value:
    """What is added to the scores: [batch or 1, 1, sequence or 1, sequence].

    Made in every layer anew from what is small, so that nothing but x goes from stage to stage.
    """
    batch, sequence, causal = frame.batch, frame.sequence, frame.settings.type == "GPT2Config"
    if not frame.packed and causal:
        return build.constant("score_bias.later", causal_bias(sequence))
    if not frame.packed:
        mask = build.input("input_mask", (batch, sequence))
        visible = build.apply("score_bias.visible", "Cast", mask, dtype="float32")
        bias = _hidden(build, visible)
        return build.reshape("score_bias", bias, (batch, 1, 1, sequence))
    ids = build.input("document_ids", (batch, sequence))
    numbers = build.apply("score_bias.numbers", "Cast", ids, dtype="float32")
    queries = build.reshape("score_bias.queries", numbers, (batch, 1, sequence, 1))
    keys = build.reshape("score_bias.keys", numbers, (batch, 1, 1, sequence))
    same = build.apply("score_bias.same", "Equal", queries, keys)
    bias = _hidden(build, build.apply("score_bias.visible", "Cast", same, dtype="float32"))
    if not causal:
        return bias
    later = build.constant("score_bias.later", causal_bias(sequence))
    return build.apply("score_bias", "Minimum", bias, later)


def _hidden(build: Builder, visible: Value) -> Value:
    """(1 - visible) * a large negative number, as in `models.layers`."""
    negative = build.scale("score_bias.negative", visible, -1.0)
    invisible = build.offset("score_bias.invisible", negative, 1.0)
    return build.scale("score_bias.hidden", invisible, _MASKED_SCORE)


def _keep_inputs(frame: Frame, build: Builder) -> dict[str, Value]:
    """Dropout masks, as floats that are 0 or 1 / (1 - probability)."""
    settings, layout = frame.settings, frame.layout
    inputs = {}
    if settings.attention_probs_dropout_prob > 0.0:
        shape = (frame.batch, settings.num_attention_heads, frame.sequence, frame.sequence)
        cuts = (layout.data_parallel, layout.model_parallel, 1, 1)
        inputs["keep_probabilities"] = build.input("keep_probabilities", shape, cuts)
    if settings.hidden_dropout_prob > 0.0:
        for name in ("keep_attention", "keep_output"):
            inputs[name] = build.input(name, (frame.rows, settings.hidden_size))
    return inputs


def _dropped(
    build: Builder,
    name: str,
    x: Value,
    keeps: dict[str, Value],
    keep: str,
    settings: NetworkConfig,
) -> Value:
    return build.apply(name, "Mul", x, keeps[keep]) if keep in keeps else x


def _attention(
    frame: Frame, build: Builder, prefix: str, x: Value, bias: Value, keeps: dict[str, Value]
) -> Value:
    settings, dtype = frame.settings, frame.settings.compute_dtype
    hidden, heads = settings.hidden_size, settings.num_attention_heads
    shape = (frame.batch, frame.sequence, heads, hidden // heads)

    def split(name: str, value: Value) -> Value:
        parted = build.reshape(f"attention.{name}.parted", value, shape)
        return build.apply(f"attention.{name}.heads", "Transpose", parted, order=(0, 2, 1, 3))

    def projection(name: str) -> Value:
        return build.dense(f"attention.{name}", x, f"{prefix}.{name}", (hidden, hidden), dtype)

    query = build.scale("attention.query.scaled", projection("query"), (hidden // heads) ** -0.5)
    query = split("query", query)
    key, value = split("key", projection("key")), split("value", projection("value"))
    scores = build.matmul("attention.scores", query, key, dtype)
    scores = build.apply("attention.biased", "Add", scores, bias)
    chances = build.apply("attention.softmax", "Softmax", scores)
    chances = _dropped(build, "attention.dropout", chances, keeps, "keep_probabilities", settings)
    context = build.matmul("attention.context", chances, value, dtype, transpose_b=False)
    context = build.apply("attention.together", "Transpose", context, order=(0, 2, 1, 3))
    context = build.reshape("attention.rows", context, (frame.rows, hidden))
    return build.dense("attention.output", context, f"{prefix}.output", (hidden, hidden), dtype)


def _feed_forward(build: Builder, settings: NetworkConfig, prefix: str, x: Value) -> Value:
    hidden, inner, dtype = settings.hidden_size, settings.inner_size, settings.compute_dtype
    x = build.dense("intermediate", x, f"{prefix}.intermediate", (hidden, inner), dtype)
    x = build.activation("activation", x, settings.hidden_act)
    return build.dense("output", x, f"{prefix}.output", (inner, hidden), dtype)


def word_and_position(frame: Frame, build: Builder, prefix: str) -> list[Value]:
    """The embeddings of tokens and of positions, [batch, sequence or 1 row of it, hidden]."""
    settings, hidden = frame.settings, frame.settings.hidden_size
    ids = build.input("input_ids", (frame.batch, frame.sequence))
    table = build.parameter(f"{prefix}.word", (frame.vocab_size, hidden))
    words = build.apply("words", "Gather", table, ids, batch_dims=0)
    positions = build.parameter(f"{prefix}.position", (settings.max_position_embeddings, hidden))
    first = settings.first_position
    if frame.packed:
        if first:
            positions = build.apply(
                "used_positions", "StridedSlice", positions, first=first, rows=settings.longest_row
            )
        numbers = build.input("position_ids", (frame.batch, frame.sequence))
        return [words, build.apply("positions", "Gather", positions, numbers, batch_dims=0)]
    rows = build.apply(
        "first_positions", "StridedSlice", positions, first=first, rows=frame.sequence
    )
    return [words, build.reshape("positions", rows, (1, frame.sequence, hidden))]


def sum_of(build: Builder, values: list[Value]) -> Value:
    """All of them added up."""
    total, *others = values
    for number, value in enumerate(others):
        total = build.apply(f"sum_{number}", "Add", total, value)
    return total


def causal_bias(sequence: int) -> np.ndarray:
    """As `models.layers.causal_bias`."""
    later = np.triu(np.ones((sequence, sequence), np.float32), 1)
    return (later * np.float32(_MASKED_SCORE)).reshape(1, 1, sequence, sequence)


def weighted_loss(build: Builder, logits: Value, count: tuple[int, int]) -> Value:
    """sum(weight * -log softmax(logits)[label]), a scalar; `count` is the shape of the labels.

    Written out, so that columns of the vocabulary may be cut: the scores of a token are never put
    together (Shoeybi et al. 2019, section 3). The weights come divided by their sum.
    """
    rows = logits.shape[0]
    labels = build.reshape("flat_labels", build.input("labels", count), (rows,))
    weights = build.reshape("flat_weights", build.input("weights", count), (rows,))
    largest = build.apply("largest", "ReduceMax", logits, axes=(1,), keep=True)
    shifted = build.apply("shifted", "Sub", logits, largest)
    powers = build.apply("exponentials", "Exp", shifted)
    total = build.apply("total", "ReduceSum", powers, axes=(1,), keep=False)
    one_hot = build.apply(
        "one_hot", "OneHot", labels, depth=logits.shape[1], column_cut=logits.cuts[1]
    )
    picked = build.apply("picked_columns", "Mul", shifted, one_hot)
    picked = build.apply("picked", "ReduceSum", picked, axes=(1,), keep=False)
    losses = build.apply("losses", "Sub", build.apply("log_total", "Log", total), picked)
    weighted = build.apply("weighted", "Mul", losses, weights)
    return build.apply("loss", "ReduceSum", weighted, axes=(0,), keep=False)
