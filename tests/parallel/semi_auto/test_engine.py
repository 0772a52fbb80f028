"""What MindSpore is told: strategies, stages, recomputation, buckets, the engine's context.

No card is needed to see that each of these is accepted and arrives.
"""

from dataclasses import replace

import numpy as np
import pytest

from mindmlm.config.schema import BertModelConfig, GPT2ModelConfig
from mindmlm.conversion.architectures import architecture_of
from mindmlm.parallel.division import Block
from mindmlm.parallel.layout import ParallelLayout
from mindmlm.parallel.semi_auto.placement import block_of, first_to_have
from mindmlm.parallel.semi_auto.plan import PlanSettings, Recompute, make_plan
from mindmlm.parallel.semi_auto.programs import PROGRAMS
from mindmlm.parallel.semi_auto.transformer import Frame
from mindmlm.parallel.stages import layer_costs

KINDS = {"BertForMaskedLM": BertModelConfig, "GPT2LMHeadModel": GPT2ModelConfig}


def plan_of(architecture, full_batch=True, gather_again=False, act="gelu", packed=False):
    settings = KINDS[architecture](
        hidden_size=16,
        num_hidden_layers=4,
        num_attention_heads=4,
        hidden_act=act,
        compute_dtype="float16",
    )
    layout, parts = ParallelLayout(2, 2, 2), architecture_of(settings)
    cuts = parts.tensor_plan + parts.vocabulary_plan
    frame = Frame(settings, 40, layout, cuts, batch=4, sequence=8, packed=packed)
    told = PlanSettings(4, 2, full_batch, True, gather_again, Recompute(False, True))
    costs = layer_costs(settings, 40, 8)
    return make_plan(PROGRAMS[architecture](frame, 3), layout, costs, told), settings


def network_of(architecture, **options):
    import mindspore as ms
    from mindspore import Parameter

    from mindmlm.parallel.semi_auto.network import Network

    plan, settings = plan_of(architecture, **options)
    shapes = architecture_of(settings).parameters(settings, 40)
    parameters = {
        name: Parameter(ms.Tensor(np.zeros(shape, np.float32)), name=name)
        for name, shape in shapes.items()
    }
    return plan, Network(plan, parameters), parameters


@pytest.mark.parametrize(
    ("architecture", "act", "packed"),
    [
        ("BertForMaskedLM", "gelu", True),
        ("BertForMaskedLM", "relu", False),
        ("GPT2LMHeadModel", "gelu_tanh", False),
        ("GPT2LMHeadModel", "gelu", True),
    ],
)
def test_every_operator_has_its_strategy(graph_mode, architecture, act, packed):
    plan, network, parameters = network_of(architecture, act=act, packed=packed)
    for block, cell in zip(plan.blocks, network.blocks, strict=True):
        assert len(cell.primitives) == len(block.program.operators)
        for operator, primitive in zip(block.program.operators, cell.primitives, strict=True):
            given = primitive.attrs.get("in_strategy")
            if operator.kind == "Reshape":
                assert given is None
            elif operator.kind == "OneHot":
                assert given == (operator.output.cuts, (), ())
            else:
                assert given[: len(operator.inputs)] == operator.strategy
        used = [value.name for value in block.program.parameters]
        assert [value.name for value in cell.parameters] == used
        for value in block.program.parameters:
            assert tuple(parameters[value.name].shape) == value.shape


@pytest.mark.parametrize("architecture", [*KINDS])
def test_stages_buckets_and_recomputation_reach_the_cells(graph_mode, architecture):
    plan, network, parameters = network_of(architecture)
    assert [cell.pipeline_stage for cell in network.blocks] == [
        block.stage for block in plan.blocks
    ]
    assert [block.stage for block in plan.blocks] == [0, 0, 0, 1, 1, 1]
    for number, cell in enumerate(network.blocks):
        layer = 0 < number < len(plan.blocks) - 1
        kinds = [primitive.attrs for primitive in cell.primitives]
        assert all(("recompute_comm_op" in attrs) == layer for attrs in kinds)
        assert all(attrs.get("slice_activation") == (True if layer else None) for attrs in kinds)
        if layer:
            assert all(attrs["recompute_comm_op"] is False for attrs in kinds)
            buckets = {value.comm_fusion for value in cell.parameters}
            assert buckets == {plan.blocks[number].fusion}
    (tied,) = plan.tied
    assert parameters[tied]._pipeline_stage_list == [0, 1]


@pytest.fixture
def eight_cards(monkeypatch, graph_mode):
    """What `AutoParallel` asks of the communication, which is not there."""
    from mindspore.parallel import auto_parallel

    monkeypatch.setattr(auto_parallel, "get_rank", lambda: 3)
    monkeypatch.setattr(auto_parallel, "get_group_size", lambda: 8)


@pytest.mark.parametrize(
    ("full_batch", "gather_again", "dataset", "level"),
    [
        (True, False, "full_batch", "level1"),
        (False, True, ((2, 1), (2, 1), (2, 1)), "level3"),
    ],
)
def test_the_context_of_the_engine(eight_cards, full_batch, gather_again, dataset, level):
    from mindmlm.parallel.semi_auto.network import by_engine, in_micro_batches

    plan, network, _ = network_of(
        "GPT2LMHeadModel", full_batch=full_batch, gather_again=gather_again
    )
    inputs = [value.name for value in plan.inputs if "keep" not in value.name]
    assert inputs == ["input_ids", "labels", "weights"]
    batches = in_micro_batches(network, plan)
    assert batches.micro_size == 4
    engine = by_engine(batches, plan)
    assert engine._parallel_mode == "semi_auto"
    assert (engine._pipeline_stages, engine._pipeline_scheduler) == (2, "1f1b")
    assert engine._full_batch == full_batch
    told = engine._dataset_strategy_config
    assert (told if full_batch else told[-3:]) == (
        dataset if full_batch else plan.engine.dataset_strategy[-3:]
    )
    assert engine._enable_parallel_optimizer
    assert engine._optimizer_level == level
    assert engine._parallel_optimizer_threshold == plan.engine.optimizer_threshold
    assert engine._comm_fusion_config == {"openstate": True}
    assert (engine._gradients_mean, engine._init_param_in_compile) == (False, False)


def test_without_stages_micro_batches_are_accumulated(graph_mode):
    from mindspore.parallel.nn import GradAccumulation, MicroBatchInterleaved, Pipeline

    from mindmlm.parallel.semi_auto.network import in_micro_batches

    plan, network, _ = network_of("GPT2LMHeadModel")
    assert type(in_micro_batches(network, plan)) is Pipeline
    alone = replace(plan, layout=ParallelLayout(2, 2, 1))
    assert type(in_micro_batches(network, alone)) is GradAccumulation
    one = replace(alone, engine=replace(plan.engine, micro_batches=1))
    assert in_micro_batches(network, one) is network
    halves = replace(one, engine=replace(one.engine, interleaved=2))
    assert type(in_micro_batches(network, halves)) is MicroBatchInterleaved
    assert in_micro_batches(network, halves).interleave_num == 2


def test_blocks_follow_from_what_the_engine_says():
    whole = (8, 6)
    # A stage of 4 cards as 2 x 2; the first axis is cut over the last of the matrix.
    assert block_of(whole, (2, 2), (0, -1), rank=5) == Block(whole, (4, 0), (4, 6))
    assert block_of(whole, (2, 2), (0, -1), rank=6) == Block(whole, (0, 0), (4, 6))
    assert block_of(whole, (2, 2), (-1, 1), rank=6) == Block(whole, (0, 3), (8, 3))
    assert block_of(whole, (2, 2), (0, -1), 5, shard=(1, 2)) == Block(whole, (6, 0), (2, 6))
    assert block_of(whole, (), (), rank=5) == Block.all_of(whole)
    with pytest.raises(ValueError, match=r"cuts 6 of \[8, 6\] into 4 parts"):
        block_of(whole, (4,), (-1, 0), rank=0)


def test_blocks_agree_with_mindspores_own_cut(graph_mode):
    import mindspore as ms
    from mindspore.parallel._tensor import _load_tensor

    rng = np.random.default_rng(0)
    whole = rng.random((8, 12)).astype(np.float32)
    for matrix, mapping in [
        ((2, 2), (0, 1)),
        ((2, 4), (1, -1)),
        ((4, 3), (1, 0)),
        ((2, 3), (-1, 0)),
    ]:
        for rank in range(2 * int(np.prod(matrix))):
            block = block_of(whole.shape, matrix, mapping, rank)
            within = rank % int(np.prod(matrix))
            expected = _load_tensor(ms.Tensor(whole), list(matrix), list(mapping), rank_id=within)
            np.testing.assert_array_equal(whole[block.slices], expected)


def test_one_rank_saves_each_block():
    blocks = [{"a": [[0], [4]]}, {"a": [[4], [4]], "b": [[0], [2]]}, {"a": [[0], [4]]}]
    assert [first_to_have(blocks, rank) for rank in range(3)] == [{"a"}, {"a", "b"}, set()]
