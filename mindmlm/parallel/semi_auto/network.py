"""A network on the cards of the semi-automatic engine, put together as its plan says."""

from collections.abc import Mapping

import mindspore as ms
from mindspore import Parameter, nn
from mindspore.parallel.auto_parallel import AutoParallel
from mindspore.parallel.nn import GradAccumulation, MicroBatchInterleaved, Pipeline

from mindmlm.parallel.semi_auto.blocks import Block
from mindmlm.parallel.semi_auto.plan import ACTIVATIONS, BlockPlan, SemiAutoPlan, input_name


class Network(nn.Cell):
    """All blocks in turn: the arrays of a batch, as `SemiAutoPlan.inputs` -> loss, a scalar.

    Args:
        plan: blocks, stages, recomputation, fusion.
        parameters: of the whole model, by name. Those of two stages are told so.
    """

    def __init__(self, plan: SemiAutoPlan, parameters: Mapping[str, Parameter]) -> None:
        super().__init__(auto_prefix=False)
        blocks = [_block(block, parameters) for block in plan.blocks]
        self.blocks = nn.CellList(blocks, auto_prefix=False)
        for name, stages in plan.tied.items():
            for stage in stages:
                parameters[name].add_pipeline_stage(stage)
        places = {value.name: place for place, value in enumerate(plan.inputs)}
        sources = []
        for number, block in enumerate(plan.blocks):
            places[ACTIVATIONS] = len(plan.inputs) + number - 1
            program = block.program
            sources.append(tuple(places[input_name(program, value)] for value in program.inputs))
        self.sources = tuple(sources)

    def construct(self, *inputs: ms.Tensor) -> ms.Tensor:
        """Loss of a micro-batch, summed over all ranks."""
        values: tuple = inputs
        for number in range(len(self.blocks)):
            arguments: tuple = ()
            for place in self.sources[number]:
                arguments = (*arguments, values[place])
            values = (*values, self.blocks[number](*arguments))
        return values[-1]


def _block(plan: BlockPlan, parameters: Mapping[str, Parameter]) -> Block:
    cell = Block(plan.program, parameters)
    cell.pipeline_stage = plan.stage
    for value in cell.parameters:
        value.comm_fusion = plan.fusion
    if plan.recompute is not None:
        cell.recompute(
            mp_comm_recompute=plan.recompute.mp_comm_recompute,
            recompute_slice_activation=plan.recompute.recompute_slice_activation,
        )
    return cell


def in_micro_batches(network: nn.Cell, plan: SemiAutoPlan) -> nn.Cell:
    """The network on all micro-batches of a step, in a pipeline where there are stages.

    A micro-batch goes through it in interleaved parts where the plan says so; losses are sums.
    """
    count = plan.engine.micro_batches
    if plan.engine.interleaved > 1:
        network = MicroBatchInterleaved(network, plan.engine.interleaved)
    if plan.layout.pipeline_stage > 1:
        return Pipeline(network, count)
    return GradAccumulation(network, count) if count > 1 else network


def by_engine(step: nn.Cell, plan: SemiAutoPlan) -> AutoParallel:
    """`step`, compiled for all ranks by the engine with the context of the plan.

    Parameters are left without values until the engine has said which part of each this rank has.
    """
    engine = plan.engine
    parallel = AutoParallel(step, parallel_mode="semi_auto")
    parallel.pipeline(stages=engine.pipeline_stages, scheduler="1f1b")
    parallel.dataset_strategy("full_batch" if engine.full_batch else engine.dataset_strategy)
    if engine.optimizer_shard:
        parallel.hsdp(threshold=engine.optimizer_threshold, optimizer_level=engine.optimizer_level)
    # Buckets are the numbers in `Parameter.comm_fusion`, which this leaves in force.
    parallel.comm_fusion({"openstate": True})
    parallel.no_init_parameters_in_compile()
    return parallel
