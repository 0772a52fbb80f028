"""What ELECTRA keeps and computes: two networks on shared embeddings (Clark et al. 2020). Pure."""

from dataclasses import dataclass, replace

from mindmlm.config.schema import BertModelConfig, ElectraModelConfig
from mindmlm.models.electra.parallel_plan import NOT_CUT
from mindmlm.parallel.layout import ParallelLayout
from mindmlm.parallel.semi_auto.builder import Program
from mindmlm.parallel.semi_auto.programs import bert_embeddings, masked_lm_head
from mindmlm.parallel.semi_auto.transformer import Frame, LayerNames, layer_program
from mindmlm.parallel.stages import PREDICTED_SHARE, encoder_costs
from mindmlm.planning.kept import block_bytes, loss_bytes


@dataclass(frozen=True)
class ElectraNetwork:
    """One of the two, with what stands before and behind its layers.

    Args:
        settings: of its layers.
        parts: embeddings, the projection of them where there is one, and the head.
        layer: one of its layers.
    """

    settings: BertModelConfig
    parts: tuple[Program, ...]
    layer: Program

    @property
    def kept(self) -> int:
        """Bytes that a rank keeps of a micro-batch."""
        layers = self.settings.num_hidden_layers * block_bytes(self.layer)
        return layers + sum(map(block_bytes, self.parts))


def electra_kept(frame: Frame, predictions: int) -> int:
    """Bytes that a rank keeps of a micro-batch until the backward pass has begun.

    Args:
        frame: of the run, its settings those of ELECTRA.
        predictions: chosen positions of a row.
    """
    settings = frame.settings
    assert isinstance(settings, ElectraModelConfig)
    whole = replace(frame, plan=NOT_CUT, layout=ParallelLayout(frame.layout.data_parallel))
    generator = _network(whole, settings, settings.generator())
    discriminator = _network(whole, settings, settings.discriminator())
    filling = _generator_head(whole, settings, predictions)
    finding = _discriminator_head(whole, settings.discriminator())
    heads = block_bytes(filling) + loss_bytes(filling) + block_bytes(finding)
    return generator.kept + discriminator.kept + heads


def _network(frame: Frame, settings: ElectraModelConfig, layers: BertModelConfig) -> ElectraNetwork:
    names = LayerNames("layers", "attention_norm", "output_norm", norm_first=False)
    wide = layers.model_copy(update={"hidden_size": settings.embedding_size})
    parts = [bert_embeddings(replace(frame, settings=wide), wide)]
    if settings.embedding_size != layers.hidden_size:
        parts.append(_projection(frame, settings.embedding_size, layers))
    return ElectraNetwork(
        layers, tuple(parts), layer_program(replace(frame, settings=layers), names, 0)
    )


def _projection(frame: Frame, size: int, layers: BertModelConfig) -> Program:
    build, hidden = frame.builder("projection"), layers.hidden_size
    x = build.input("x", (frame.rows, size))
    return build.program(
        build.dense("dense", x, "projection", (size, hidden), layers.compute_dtype)
    )


def _generator_head(frame: Frame, settings: ElectraModelConfig, predictions: int) -> Program:
    layers, size = settings.generator(), settings.embedding_size
    return masked_lm_head(replace(frame, settings=layers), layers, predictions, size)


def _discriminator_head(frame: Frame, layers: BertModelConfig) -> Program:
    build, hidden, dtype = frame.builder("head"), layers.hidden_size, layers.compute_dtype
    x = build.input("x", (frame.rows, hidden))
    x = build.dense("dense", x, "head.dense", (hidden, hidden), dtype)
    x = build.activation("activation", x, layers.hidden_act)
    return build.program(build.dense("prediction", x, "head.prediction", (hidden, 1), dtype))


def electra_cost(settings: ElectraModelConfig, vocab_size: int, length: int) -> float:
    """Multiplications of the forward pass for a token, of both networks; see `layer_costs`."""
    size, found = settings.embedding_size, 0.0
    for layers in (settings.generator(), settings.discriminator()):
        found += sum(encoder_costs(layers, length))
        if size != layers.hidden_size:
            found += size * layers.hidden_size
    narrow, wide = settings.generator().hidden_size, settings.hidden_size
    return found + PREDICTED_SHARE * size * (narrow + vocab_size) + wide * (wide + 1)
