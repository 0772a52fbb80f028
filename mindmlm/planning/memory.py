"""Bytes that each rank of a layout needs."""

from dataclasses import asdict, dataclass, replace

from mindmlm.build_data.rows import isolates_documents
from mindmlm.config.schema import RunConfig
from mindmlm.conversion.architectures import POOLER, architecture_of
from mindmlm.parallel.division import Division, bytes_of
from mindmlm.parallel.layout import ParallelLayout
from mindmlm.parallel.semi_auto.builder import Program
from mindmlm.parallel.semi_auto.programs import PROGRAMS, NetworkPrograms
from mindmlm.parallel.semi_auto.transformer import Frame
from mindmlm.parallel.stages import stage_bounds
from mindmlm.planning.engine_plan import predictions, tensor_plan
from mindmlm.planning.kept import block_bytes, part_size

_FLOAT = 4


@dataclass(frozen=True)
class RankBytes:
    """What one rank holds at the moment when it holds most.

    Args:
        stage: of the rank.
        parameters: weights, and with ZeRO-1 the part of them that it updates. Exact.
        gradients: of its weights. Exact.
        optimizer: the two moments of AdamW. Exact.
        activations: kept where nothing is computed again, by formula.
        recomputed: ... where every layer is.
        buffers: of the largest message of each kind.
    """

    stage: int
    parameters: int
    gradients: int
    optimizer: int
    activations: int
    recomputed: int
    buffers: int

    def total(self, recompute: bool) -> int:
        """All of it."""
        kept = self.recomputed if recompute else self.activations
        return self.parameters + self.gradients + self.optimizer + kept + self.buffers

    def to_dict(self) -> dict[str, int]:
        """By name."""
        return asdict(self)


def stage_shapes(
    config: RunConfig, vocab_size: int, layout: ParallelLayout, stage: int
) -> dict[str, tuple[int, ...]]:
    """Whole shapes of the parameters that a stage has; the tied embedding is on both ends."""
    settings = config.model.settings
    architecture = architecture_of(settings)
    bounds = stage_bounds(
        settings, vocab_size, config.train_dataset.max_seq_length, layout.pipeline_stage
    )
    start, stop = bounds[stage]
    first, last = stage == 0, stage == layout.pipeline_stage - 1

    def is_here(name: str) -> bool:
        if ".layers." in name:
            return start <= int(name.split(".layers.")[1].partition(".")[0]) < stop
        if name == architecture.word:
            return first or last
        return first if ".embeddings." in name else last

    shapes = architecture.parameters(settings, vocab_size)
    return {name: shape for name, shape in shapes.items() if is_here(name)}


def rank_bytes(config: RunConfig, vocab_size: int, layout: ParallelLayout) -> list[RankBytes]:
    """What the fullest rank of each stage holds.

    Args:
        config: of the run; its own degrees are not looked at, its micro-batches are.
        vocab_size: rows of the word embedding.
        layout: of the ranks.

    Raises:
        CutError: the model cannot be cut so.
    """
    plan = tensor_plan(config)
    frame = Frame(
        # All layers are alike: one is enough to count.
        config.model.settings.model_copy(update={"num_hidden_layers": 1}),
        vocab_size,
        layout,
        replace(plan, cut_axes=_evenly_cut(config, vocab_size, layout)),
        config.runner_config.batch_size * layout.data_parallel,
        config.train_dataset.max_seq_length,
        isolates_documents(config),
    )
    network = PROGRAMS[config.model.arch.type](frame, predictions(config))
    found = []
    for stage in range(layout.pipeline_stage):
        shapes = stage_shapes(config, vocab_size, layout, stage)
        first = stage * layout.data_parallel * layout.model_parallel
        # What is cut unevenly has two lengths: that of the first and that of the last member.
        weights, trained, moments, masters = (
            max(sizes)
            for sizes in zip(
                *(
                    _state_bytes(shapes, Division(layout, rank, plan, config.optimizer_parallel))
                    for rank in {first, first + layout.model_parallel - 1}
                ),
                strict=True,
            )
        )
        kept = _activations(config, frame, network, stage, vocab_size)
        parameters, buffers = weights + masters, _buffers(config, frame, trained)
        found.append(RankBytes(stage, parameters, trained, moments, *kept, buffers))
    return found


def _state_bytes(
    shapes: dict[str, tuple[int, ...]], division: Division
) -> tuple[int, int, int, int]:
    """Bytes of weights, of those that are trained, of moments, of parts that the rank updates."""
    counted = bytes_of(_trained(shapes), division)
    frozen = sum(
        division.weight(name, shape).size
        for name, shape in shapes.items()
        if name.startswith(POOLER)
    )
    trained = counted["weights"]
    return trained + _FLOAT * frozen, trained, counted["moments"], counted["master"]


def _trained(shapes: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    return {name: shape for name, shape in shapes.items() if not name.startswith(POOLER)}


def _evenly_cut(config: RunConfig, vocab_size: int, layout: ParallelLayout) -> dict[str, int]:
    """The cut axes without those of a vocabulary that is not cut evenly, for activations."""
    architecture, plan = architecture_of(config.model.settings), tensor_plan(config)
    uneven = set(architecture.vocabulary_rows) if vocab_size % layout.model_parallel else set()
    return {name: axis for name, axis in plan.cut_axes.items() if name not in uneven}


def _activations(
    config: RunConfig, frame: Frame, network: NetworkPrograms, stage: int, vocab_size: int
) -> tuple[int, int]:
    """Bytes kept without and with recomputation."""
    layout = frame.layout
    bounds = stage_bounds(config.model.settings, vocab_size, frame.sequence, layout.pipeline_stage)
    start, stop = bounds[stage]
    layer = block_bytes(network.layers[0])
    last = stage == layout.pipeline_stage - 1
    ends = (block_bytes(network.embeddings) if stage == 0 else 0) + (
        block_bytes(network.head) + _loss_bytes(network.head) if last else 0
    )
    entry = activation_bytes(frame)
    # A stage runs ahead by as many micro-batches as there are stages behind it (1F1B).
    in_flight = min(layout.pipeline_stage - stage, config.micro_batches)
    layers = stop - start
    # Of a layer that is computed again, what it keeps and the gradients of that are there at once;
    # where nothing is, gradients take the room of what the backward pass has done with.
    again = 2 * layer + ends
    if config.parallel_mode == 1:
        sliced = layout.model_parallel if config.recompute_config.recompute_slice_activation else 1
        kept = in_flight * layers * entry // sliced
        return in_flight * (layers * layer + ends), kept + again
    # Explicit engine: one backward pass at a time; what waits has kept what went into its parts.
    return in_flight * entry + layers * layer + ends, in_flight * layers * entry + again


def activation_bytes(frame: Frame) -> int:
    """Bytes that go from layer to layer on one rank, for one micro-batch."""
    rows = frame.rows // frame.layout.data_parallel
    return _FLOAT * rows * frame.settings.hidden_size


def _loss_bytes(head: Program) -> int:
    """The scores and two tensors of their size, in the first moments of the backward pass."""
    scores = next(operator.output for operator in head.operators if operator.name == "shifted")
    return 3 * _FLOAT * part_size(scores)


def _buffers(config: RunConfig, frame: Frame, gradients: int) -> int:
    """A bucket of gradients and its sum, activations to the neighbours, and to the model group."""
    layout, activations = frame.layout, activation_bytes(frame)
    bucket = gradients // config.parallel_config.gradient_aggregation_group
    return (
        (2 * bucket if layout.data_parallel > 1 else 0)
        + (2 * activations if layout.pipeline_stage > 1 else 0)
        + (activations if layout.model_parallel > 1 else 0)
    )
