"""All that MindSpore's semi-automatic engine is told about a run, as data. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from mindmlm.parallel.balance import balance
from mindmlm.parallel.layout import ParallelLayout
from mindmlm.parallel.semi_auto.builder import Program
from mindmlm.parallel.semi_auto.operators import Value
from mindmlm.parallel.semi_auto.programs import NetworkPrograms

# What a block takes from the block before it; everything else comes with the batch.
ACTIVATIONS = "x"


@dataclass(frozen=True)
class Recompute:
    """How a layer is computed again, as `Cell.recompute` takes it.

    Args:
        mp_comm_recompute: its collectives of model parallelism too.
        recompute_slice_activation: its kept input is cut over model-parallel ranks.
    """

    mp_comm_recompute: bool
    recompute_slice_activation: bool


@dataclass(frozen=True)
class BlockPlan:
    """One block of the network.

    Args:
        program: its operators with their strategies.
        stage: pipeline stage that runs it.
        fusion: number, from 1, of the bucket in which its gradients are reduced.
        recompute: None = what it computes is kept.
    """

    program: Program
    stage: int
    fusion: int
    recompute: Recompute | None = None


@dataclass(frozen=True)
class EngineSettings:
    """The context of the engine (`mindspore.parallel.auto_parallel.AutoParallel`).

    Args:
        device_num: cards of the whole job.
        pipeline_stages: of the pipeline.
        full_batch: every card is given the whole batch; else the rows of its data coordinate.
        dataset_strategy: cuts of every input, where not `full_batch`.
        optimizer_shard: weights and optimizer state are cut over the data axis.
        optimizer_level: "level3" gathers cut weights again in the backward pass.
        optimizer_threshold: smallest parameter that is cut, in KB.
        micro_batches: of one step.
        interleaved: parts of a micro-batch whose messages and computation overlap.
    """

    device_num: int
    pipeline_stages: int
    full_batch: bool
    dataset_strategy: tuple[tuple[int, ...], ...]
    optimizer_shard: bool
    optimizer_level: str
    optimizer_threshold: int
    micro_batches: int
    interleaved: int = 1


@dataclass(frozen=True)
class SemiAutoPlan:
    """A network on a grid of ranks.

    Args:
        layout: of the ranks.
        blocks: embeddings, layers and head, in the order in which they run.
        inputs: of the network: the arrays of a micro-batch over all ranks, of one interleaved part.
        tied: parameter of two stages -> those.
        engine: context of the engine.
    """

    layout: ParallelLayout
    blocks: tuple[BlockPlan, ...]
    inputs: tuple[Value, ...]
    engine: EngineSettings
    tied: Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class PlanSettings:
    """What the configuration says besides the network and the layout.

    Args:
        micro_batches: of one step.
        interleaved: parts of a micro-batch that the network takes one by one.
        gradient_groups: `parallel_config.gradient_aggregation_group`.
        full_batch, optimizer_shard: as in the section `parallel`.
        gather_again: `recompute_config.parallel_optimizer_comm_recompute`.
        recompute: of the layers; None = nothing is computed again.
        interleaved: `micro_batch_interleave_num`.
    """

    micro_batches: int = 1
    gradient_groups: int = 1
    full_batch: bool = True
    optimizer_shard: bool = False
    gather_again: bool = False
    recompute: Recompute | None = None
    interleaved: int = 1


# MindSpore's own default leaves small parameters whole: a message for each would cost more.
_OPTIMIZER_THRESHOLD_KB = 64


def make_plan(
    network: NetworkPrograms, layout: ParallelLayout, costs: list[float], settings: PlanSettings
) -> SemiAutoPlan:
    """Put a network on a grid of ranks.

    Args:
        network: its blocks, whose cuts are those of the layout.
        layout: of the ranks.
        costs: of the layers, by which stages are balanced.
        settings: see `PlanSettings`.

    Raises:
        ValueError: there are fewer layers than stages.
    """
    stages = stage_of_layers(costs, layout.pipeline_stage)
    groups = _fusion_of_layers(len(costs), settings.gradient_groups)
    blocks = (
        BlockPlan(network.embeddings, 0, groups[0]),
        *(
            BlockPlan(program, stage, group, settings.recompute)
            for program, stage, group in zip(network.layers, stages, groups, strict=True)
        ),
        BlockPlan(network.head, layout.pipeline_stage - 1, groups[-1]),
    )
    inputs = network_inputs(blocks)
    engine = EngineSettings(
        device_num=layout.world_size,
        pipeline_stages=layout.pipeline_stage,
        full_batch=settings.full_batch,
        dataset_strategy=tuple(value.cuts for value in inputs),
        optimizer_shard=settings.optimizer_shard and layout.data_parallel > 1,
        optimizer_level="level3" if settings.gather_again else "level1",
        optimizer_threshold=_OPTIMIZER_THRESHOLD_KB,
        micro_batches=settings.micro_batches,
        interleaved=settings.interleaved,
    )
    return SemiAutoPlan(layout, blocks, inputs, engine, _tied(blocks))


def stage_of_layers(costs: list[float], stages: int) -> list[int]:
    """The pipeline stage of every layer."""
    bounds = balance(costs, stages)
    return [stage for stage, (start, stop) in enumerate(bounds) for _ in range(start, stop)]


def _fusion_of_layers(layers: int, groups: int) -> list[int]:
    """Numbers, from 1, of `groups` runs of layers of about the same length."""
    return [number * min(groups, layers) // layers + 1 for number in range(layers)]


def network_inputs(blocks: tuple[BlockPlan, ...]) -> tuple[Value, ...]:
    """The arrays that come with a batch, each once, in the order in which blocks take them.

    Dropout masks belong to one block: theirs have its name in front.
    """
    found: dict[str, Value] = {}
    for block in blocks:
        for value in block.program.inputs:
            if value.name != ACTIVATIONS:
                name = input_name(block.program, value)
                found.setdefault(name, Value(name, value.shape, value.cuts))
    return tuple(found.values())


def input_name(program: Program, value: Value) -> str:
    """Under which name the network takes an input of a block."""
    return f"{program.name}.{value.name}" if value.name.startswith("keep_") else value.name


def _tied(blocks: tuple[BlockPlan, ...]) -> dict[str, tuple[int, ...]]:
    """Parameters that blocks of several stages use."""
    stages: dict[str, list[int]] = {}
    for block in blocks:
        for value in block.program.parameters:
            known = stages.setdefault(value.name, [])
            if block.stage not in known:
                known.append(block.stage)
    return {name: tuple(known) for name, known in stages.items() if len(known) > 1}
