"""The blocks of each model: embeddings, layers, head with loss. Pure."""

from collections.abc import Callable
from dataclasses import dataclass

from mindmlm.config.schema import BertModelConfig
from mindmlm.parallel.semi_auto.builder import Program
from mindmlm.parallel.semi_auto.transformer import (
    Frame,
    LayerNames,
    layer_program,
    sum_of,
    weighted_loss,
    word_and_position,
)


@dataclass(frozen=True)
class NetworkPrograms:
    """A network with its loss.

    Args:
        embeddings: rows of a batch -> x.
        layers: (x, what its score bias is made of, dropout masks) -> x.
        head: (x, rows of a batch) -> loss.
    """

    embeddings: Program
    layers: tuple[Program, ...]
    head: Program

    @property
    def blocks(self) -> tuple[Program, ...]:
        """All of them, in the order in which they run."""
        return (self.embeddings, *self.layers, self.head)


def bert_programs(frame: Frame, predictions: int) -> NetworkPrograms:
    """BERT with the masked-language-model head on `predictions` positions of a row."""
    settings = frame.settings
    assert isinstance(settings, BertModelConfig)
    names = LayerNames(
        "bert.layers", "attention_norm", "output_norm", not settings.post_layernorm_residual
    )
    return NetworkPrograms(
        bert_embeddings(frame, settings),
        _layers(frame, names),
        masked_lm_head(frame, settings, predictions),
    )


def _layers(frame: Frame, names: LayerNames) -> tuple[Program, ...]:
    return tuple(
        layer_program(frame, names, number) for number in range(frame.settings.num_hidden_layers)
    )


def bert_embeddings(frame: Frame, settings: BertModelConfig) -> Program:
    """Token, position and segment embeddings, normalised, as wide as `settings` say."""
    build, hidden = frame.builder("embeddings"), settings.hidden_size
    words, positions = word_and_position(frame, build, "bert.embeddings")
    table = build.parameter("bert.embeddings.token_type", (settings.type_vocab_size, hidden))
    segments = build.input("segment_ids", (frame.batch, frame.sequence))
    types = build.apply("types", "Gather", table, segments, batch_dims=0)
    x = build.reshape("rows", sum_of(build, [words, types, positions]), (frame.rows, hidden))
    x = build.norm("norm", x, "bert.embeddings.norm", settings.layer_norm_eps)
    if settings.hidden_dropout_prob > 0.0:
        x = build.apply("dropout", "Mul", x, build.input("keep_embeddings", x.shape))
    return build.program(x)


def masked_lm_head(
    frame: Frame, settings: BertModelConfig, predictions: int, embedding_size: int | None = None
) -> Program:
    """The head on `predictions` positions of a row; `embedding_size` as of `MaskedLMHead`."""
    build, hidden, dtype = frame.builder("head"), settings.hidden_size, settings.compute_dtype
    epsilon, count = settings.layer_norm_eps, (frame.batch, predictions)
    size = embedding_size or hidden
    x = build.input("x", (frame.rows, hidden))
    if not settings.post_layernorm_residual:
        x = build.norm("final_norm", x, "bert.final_norm", epsilon)
    x = build.reshape("sequences", x, (frame.batch, frame.sequence, hidden))
    x = build.apply("chosen", "Gather", x, build.input("positions", count), batch_dims=1)
    x = build.reshape("chosen_rows", x, (frame.batch * predictions, hidden))
    x = build.dense("dense", x, "head.dense", (hidden, size), dtype)
    x = build.activation("activation", x, settings.head_act)
    x = build.norm("norm", x, "head.norm", epsilon)
    word = build.parameter("bert.embeddings.word", (frame.vocab_size, size))
    logits = build.matmul("decode", x, word, dtype)
    bias = build.parameter("head.bias", (frame.vocab_size,))
    logits = build.apply("logits", "Add", logits, bias)
    return build.program(weighted_loss(build, logits, count))


def gpt2_programs(frame: Frame, predictions: int) -> NetworkPrograms:
    """GPT-2 with the language-model head, which predicts at all positions of a row."""
    names = LayerNames("gpt2.layers", "attention_norm", "feed_forward_norm", norm_first=True)
    return NetworkPrograms(
        _gpt2_embeddings(frame),
        _layers(frame, names),
        _gpt2_head(frame),
    )


def _gpt2_embeddings(frame: Frame) -> Program:
    build, settings = frame.builder("embeddings"), frame.settings
    x = sum_of(build, word_and_position(frame, build, "gpt2.embeddings"))
    x = build.reshape("rows", x, (frame.rows, settings.hidden_size))
    if getattr(settings, "embedding_dropout_prob", 0.0) > 0.0:
        x = build.apply("dropout", "Mul", x, build.input("keep_embeddings", x.shape))
    return build.program(x)


def _gpt2_head(frame: Frame) -> Program:
    build, settings = frame.builder("head"), frame.settings
    x = build.input("x", (frame.rows, settings.hidden_size))
    x = build.norm("final_norm", x, "gpt2.final_norm", settings.layer_norm_eps)
    word = build.parameter("gpt2.embeddings.word", (frame.vocab_size, settings.hidden_size))
    logits = build.matmul("decode", x, word, settings.compute_dtype)
    return build.program(weighted_loss(build, logits, (frame.batch, frame.sequence)))


# By `model.arch.type`.
PROGRAMS: dict[str, Callable[[Frame, int], NetworkPrograms]] = {
    "BertForMaskedLM": bert_programs,
    "RobertaForMaskedLM": bert_programs,
    "GPT2LMHeadModel": gpt2_programs,
}
