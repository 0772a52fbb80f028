"""Bytes that each rank of a layout needs."""

from dataclasses import asdict, dataclass

from mindmlm.config.schema import RunConfig
from mindmlm.conversion.architectures import POOLER, architecture_named
from mindmlm.parallel.division import Division, bytes_of
from mindmlm.parallel.layout import ParallelLayout
from mindmlm.parallel.semi_auto.transformer import Frame
from mindmlm.parallel.stages import stage_bounds
from mindmlm.planning.activations import activation_bytes, frame_of, stage_kept
from mindmlm.planning.engine_plan import tensor_plan
from mindmlm.planning.teacher import distils, planned_teacher

_FLOAT = 4
_POSITIONS = "bert.embeddings.position"


@dataclass(frozen=True)
class RankBytes:
    """What one rank holds at the moment when it holds most.

    Args:
        stage: of the rank.
        parameters: weights, a teacher's too, and with ZeRO-1 the part of them that it updates.
            Exact.
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
    architecture = architecture_named(config.model.arch.type)
    # Of question answering, no head decodes words.
    decodes = architecture.name != "BertForQuestionAnswering"
    bounds = stage_bounds(
        settings, vocab_size, config.train_dataset.max_seq_length, layout.pipeline_stage
    )
    start, stop = bounds[stage]
    first, last = stage == 0, _is_last(layout, stage)

    def is_here(name: str) -> bool:
        if ".layers." in name:
            return start <= int(name.split(".layers.")[1].partition(".")[0]) < stop
        if name == architecture.word:
            return first or (last and decodes)
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
    plan, frame = tensor_plan(config), frame_of(config, vocab_size, layout)
    found = []
    for stage in range(layout.pipeline_stage):
        shapes = stage_shapes(config, vocab_size, layout, stage)
        first = stage * layout.data_parallel * layout.model_parallel
        # What is cut unevenly has two lengths: that of the first and that of the last member.
        weights, trained, moments, masters = (
            max(sizes)
            for sizes in zip(
                *(
                    _state_bytes(
                        config, shapes, Division(layout, rank, plan, config.optimizer_parallel)
                    )
                    for rank in {first, first + layout.model_parallel - 1}
                ),
                strict=True,
            )
        )
        kept = stage_kept(config, frame, stage, vocab_size)
        teacher = _teacher_bytes(config, vocab_size) if _is_last(layout, stage) else 0
        parameters, buffers = weights + masters + teacher, _buffers(config, frame, trained)
        found.append(
            RankBytes(
                stage, parameters, trained, moments, kept.activations, kept.recomputed, buffers
            )
        )
    return found


def _is_last(layout: ParallelLayout, stage: int) -> bool:
    return stage == layout.pipeline_stage - 1


def _teacher_bytes(config: RunConfig, vocab_size: int) -> int:
    teacher = planned_teacher(config, vocab_size)
    return 0 if teacher is None else teacher.weights


def _state_bytes(
    config: RunConfig, shapes: dict[str, tuple[int, ...]], division: Division
) -> tuple[int, int, int, int]:
    """Bytes of weights, of those that are trained, of moments, of parts that the rank updates."""
    here = {name: shape for name, shape in shapes.items() if not _is_frozen(config, name)}
    counted = bytes_of(here, division)
    frozen = sum(
        division.weight(name, shape).size for name, shape in shapes.items() if name not in here
    )
    trained = counted["weights"]
    return trained + _FLOAT * frozen, trained, counted["moments"], counted["master"]


def _is_frozen(config: RunConfig, name: str) -> bool:
    """Whether a parameter is carried along and not trained."""
    if name.startswith(POOLER):
        return config.model.arch.type != "BertForPreTraining"
    return name == _POSITIONS and distils(config) and config.distillation.freeze_position_embeddings


def _buffers(config: RunConfig, frame: Frame, gradients: int) -> int:
    """A bucket of gradients and its sum, activations to the neighbours, and to the model group."""
    layout, activations = frame.layout, activation_bytes(frame)
    bucket = gradients // config.parallel_config.gradient_aggregation_group
    return (
        (2 * bucket if layout.data_parallel > 1 else 0)
        + (2 * activations if layout.pipeline_stage > 1 else 0)
        + (activations if layout.model_parallel > 1 else 0)
    )
