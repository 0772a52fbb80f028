"""Bytes of activations of one rank, by formula."""

from dataclasses import dataclass, replace

from mindmlm.build_data.rows import isolates_documents
from mindmlm.config.schema import ElectraModelConfig, RunConfig
from mindmlm.conversion.architectures import architecture_of
from mindmlm.models.plan import ParallelPlan
from mindmlm.parallel.layout import ParallelLayout
from mindmlm.parallel.semi_auto.programs import PROGRAMS, NetworkPrograms, bert_programs
from mindmlm.parallel.semi_auto.transformer import Frame
from mindmlm.parallel.stages import stage_bounds
from mindmlm.planning.electra import electra_kept
from mindmlm.planning.engine_plan import predictions
from mindmlm.planning.heads import head_bytes, teacher_bytes
from mindmlm.planning.kept import block_bytes
from mindmlm.planning.teacher import distils, planned_teacher

_FLOAT = 4
# Encoders of BERT with other heads (`heads.head_bytes`).
_BERT_PROGRAMS = ("BertForPreTraining", "BertForQuestionAnswering")


@dataclass(frozen=True)
class Kept:
    """Bytes of a stage: where nothing is computed again, and where every layer is."""

    activations: int
    recomputed: int


def frame_of(config: RunConfig, vocab_size: int, layout: ParallelLayout) -> Frame:
    """What all blocks of a run have in common; all layers are alike, so it has one."""
    return Frame(
        config.model.settings.model_copy(update={"num_hidden_layers": 1}),
        vocab_size,
        layout,
        _evenly_cut(config, vocab_size, layout),
        config.runner_config.batch_size * layout.data_parallel,
        config.train_dataset.max_seq_length,
        isolates_documents(config),
    )


def _evenly_cut(config: RunConfig, vocab_size: int, layout: ParallelLayout) -> ParallelPlan:
    """The plan of the language model without a vocabulary that is not cut evenly."""
    architecture = architecture_of(config.model.settings)
    uneven = vocab_size % layout.model_parallel != 0
    if config.parallel_config.vocab_emb_dp or uneven:
        return architecture.tensor_plan
    return architecture.tensor_plan + architecture.vocabulary_plan


def scored_positions(config: RunConfig) -> int:
    """Positions of a row that the head scores: a student is compared at every token."""
    if distils(config) and not config.distillation.restrict_ce_to_mask:
        return config.train_dataset.max_seq_length
    return predictions(config)


def stage_kept(config: RunConfig, frame: Frame, stage: int, vocab_size: int) -> Kept:
    """What a rank of a stage keeps.

    Args:
        config: of the run.
        frame: of `frame_of`.
        stage: from 0.
        vocab_size: rows of the word embedding.

    Raises:
        CutError: the model cannot be cut so.
    """
    settings = config.model.settings
    if isinstance(settings, ElectraModelConfig):
        whole = electra_kept(replace(frame, settings=settings), predictions(config))
        return Kept(whole, whole)
    layout = frame.layout
    network = _programs(config, frame)
    bounds = stage_bounds(settings, vocab_size, frame.sequence, layout.pipeline_stage)
    start, stop = bounds[stage]
    ends = block_bytes(network.embeddings) if stage == 0 else 0
    if stage == layout.pipeline_stage - 1:
        ends += head_bytes(config, frame, network) + _teacher(config, frame, vocab_size)
    return _over_layers(config, frame, stage, stop - start, block_bytes(network.layers[0]), ends)


def _programs(config: RunConfig, frame: Frame) -> NetworkPrograms:
    arch = config.model.arch.type
    make = bert_programs if arch in _BERT_PROGRAMS else PROGRAMS[arch]
    return make(frame, scored_positions(config))


def _teacher(config: RunConfig, frame: Frame, vocab_size: int) -> int:
    teacher = planned_teacher(config, vocab_size)
    return 0 if teacher is None else teacher_bytes(teacher, frame, scored_positions(config))


def _over_layers(
    config: RunConfig, frame: Frame, stage: int, layers: int, layer: int, ends: int
) -> Kept:
    """Bytes of a stage of so many layers, each of which keeps ``layer``."""
    layout, entry = frame.layout, activation_bytes(frame)
    # A stage runs ahead by as many micro-batches as there are stages behind it (1F1B).
    in_flight = min(layout.pipeline_stage - stage, config.micro_batches)
    # Of a layer that is computed again, what it keeps and the gradients of that are there at once;
    # where nothing is, gradients take the room of what the backward pass has done with.
    again = 2 * layer + ends
    if config.parallel_mode == 1:
        sliced = layout.model_parallel if config.recompute_config.recompute_slice_activation else 1
        kept = in_flight * layers * entry // sliced
        return Kept(in_flight * (layers * layer + ends), kept + again)
    # Explicit engine: one backward pass at a time; what waits has kept what went into its parts.
    whole = in_flight * entry + layers * layer + ends
    return Kept(whole, in_flight * layers * entry + again)


def activation_bytes(frame: Frame) -> int:
    """Bytes that go from layer to layer on one rank, for one micro-batch."""
    rows = frame.rows // frame.layout.data_parallel
    return _FLOAT * rows * frame.settings.hidden_size
