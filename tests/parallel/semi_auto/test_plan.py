"""Plans of the engine: every shipped model on every layout, and faults that must be found."""

from dataclasses import replace

import pytest

from mindmlm.config import load_config
from mindmlm.config.schema import BertModelConfig, GPT2ModelConfig
from mindmlm.conversion.architectures import architecture_of
from mindmlm.errors import ConfigError
from mindmlm.parallel.layout import ParallelLayout
from mindmlm.parallel.semi_auto.checker import plan_problems
from mindmlm.parallel.semi_auto.operators import CutError, Value, outcome
from mindmlm.parallel.semi_auto.plan import PlanSettings, Recompute, make_plan
from mindmlm.parallel.semi_auto.programs import PROGRAMS
from mindmlm.parallel.semi_auto.transformer import Frame
from mindmlm.parallel.stages import layer_costs
from mindmlm.planning.engine_plan import engine_plan, plan_notes

SHIPPED = [
    *(
        f"bert/run_bert_{name}.yaml"
        for name in ("tiny_zh", "mini_en", "base_chinese", "large_uncased")
    ),
    *(
        f"gpt2/run_gpt2{name}.yaml"
        for name in ("", "_tiny", "_medium", "_large", "_xl", "_13b", "_52b")
    ),
]
DEGREES = (1, 2, 4, 8, 16, 32, 64)
UP_TO_64 = [
    (data, model, stages)
    for data in DEGREES
    for model in DEGREES
    for stages in DEGREES
    if data * model * stages <= 64
]
ENGINE = ("use_parallel=True", "parallel.parallel_mode=1", "context.device_target=Ascend")


def load(project_root, name, *options):
    path = project_root / "configs" / name
    return load_config(path, [*ENGINE, *options], require_inputs=False).config


def on_layout(config, layout, vocabulary_whole):
    names = ("data_parallel", "model_parallel", "pipeline_stage")
    cuts = {
        **dict(zip(names, layout, strict=True)),
        "micro_batch_num": max(2, layout[2]),
        "vocab_emb_dp": vocabulary_whole,
    }
    section = config.parallel_config.model_copy(update=cuts)
    return config.model_copy(update={"parallel_config": section})


@pytest.mark.parametrize(
    ("name", "step"),
    [
        *((name, 6) for name in SHIPPED if "tiny" in name),
        *(pytest.param(name, 1, marks=pytest.mark.slow) for name in SHIPPED),
    ],
)
def test_every_shipped_model_can_be_cut_in_every_layout_that_fits(project_root, name, step):
    config = load(project_root, name)
    settings = config.model.settings
    good = [
        layout
        for layout in UP_TO_64
        if not settings.num_attention_heads % layout[1] and layout[2] <= settings.num_hidden_layers
    ]
    assert len(good) >= 12
    for layout in good[::step]:
        for whole in (True, False):
            plan = engine_plan(on_layout(config, layout, whole), 50304)
            assert plan_problems(plan) == []
            assert plan.engine.device_num == layout[0] * layout[1] * layout[2]
            assert [block.stage for block in plan.blocks][-1] == layout[2] - 1


@pytest.mark.parametrize("name", ["gpt2/run_gpt2_13b.yaml", "gpt2/run_gpt2_52b.yaml"])
def test_the_shipped_plans_for_cards_are_good_as_they_are(project_root, name):
    config = load_config(project_root / "configs" / name, require_inputs=False).config
    assert config.parallel_mode == 1
    plan = engine_plan(config, config.model.settings.vocab_size)
    cuts, again = config.parallel_config, config.recompute_config
    engine = plan.engine
    assert engine.device_num == config.processes
    assert (engine.pipeline_stages, engine.micro_batches) == (
        cuts.pipeline_stage,
        cuts.micro_batch_num,
    )
    assert (engine.full_batch, engine.optimizer_shard) == (True, True)
    assert engine.optimizer_level == "level1"
    assert {block.fusion for block in plan.blocks} == {1, 2, 3, 4}
    layers = plan.blocks[1:-1]
    assert {block.recompute for block in layers} == {
        Recompute(again.mp_comm_recompute, again.recompute_slice_activation)
    }
    sizes = [sum(block.stage == stage for block in layers) for stage in range(cuts.pipeline_stage)]
    assert max(sizes) - min(sizes) <= 1
    assert plan.tied == {"gpt2.embeddings.word": (0, cuts.pipeline_stage - 1)}


def test_keys_of_recomputation_reach_the_plan(project_root):
    name = "gpt2/run_gpt2_13b.yaml"
    changed = ("parallel_optimizer_comm_recompute=True", "mp_comm_recompute=False")
    more = [f"recompute_config.{key}" for key in (*changed, "recompute_slice_activation=False")]
    plan = engine_plan(load(project_root, name, *more), 50257)
    assert plan.engine.optimizer_level == "level3"
    assert {block.recompute for block in plan.blocks[1:-1]} == {Recompute(False, False)}
    kept = engine_plan(load(project_root, name, "recompute_config.recompute=False"), 50257)
    assert {block.recompute for block in kept.blocks} == {None}
    rows = load(project_root, name, "parallel.full_batch=False")
    assert engine_plan(rows, 50257).engine.dataset_strategy == ((4, 1), (4, 1), (4, 1))


def test_a_dry_run_checks_the_plan(project_root):
    name = "gpt2/run_gpt2_13b.yaml"
    (note,) = plan_notes(load(project_root, name))
    assert note.endswith("operators in 42 blocks, 32 cards")
    size, cut = "model.model_config.vocab_size=", "parallel_config.vocab_emb_dp=False"
    (later,) = plan_notes(load(project_root, name, f"{size}null", cut))
    assert "when the vocabulary is known" in later
    hybrid = load(project_root, name).model_copy(update={"use_parallel": False})
    assert plan_notes(hybrid) == []


def test_interleaved_halves_have_half_the_rows(project_root):
    plan = engine_plan(
        load(project_root, "gpt2/run_gpt2_13b.yaml", "micro_batch_interleave_num=2"), 50257
    )
    assert plan.engine.interleaved == 2
    assert {value.shape for value in plan.inputs} == {(4, 1024)}


def test_a_vocabulary_that_cannot_be_cut_is_refused_with_a_size_that_can(project_root):
    name, cut = "gpt2/run_gpt2_13b.yaml", "parallel_config.vocab_emb_dp=False"
    size = "model.model_config.vocab_size="
    with pytest.raises(ConfigError, match="use vocab_size 50258"):
        load(project_root, name, cut, f"{size}50257")
    config = load(project_root, name, cut, f"{size}null")
    with pytest.raises(ConfigError, match=r"2 does not divide gpt2.embeddings.word\[50257, 5120\]"):
        engine_plan(config, 50257)
    assert engine_plan(config, 50258)


@pytest.fixture(params=["BertForMaskedLM", "GPT2LMHeadModel"])
def plan(request):
    """Of a model with everything that can be cut and dropped, on 2 x 2 x 2 ranks."""
    sizes = {"hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 4}
    kind = BertModelConfig if request.param.startswith("Bert") else GPT2ModelConfig
    settings, layout = kind(**sizes, compute_dtype="float16"), ParallelLayout(2, 2, 2)
    parts = architecture_of(settings)
    cuts = parts.tensor_plan + parts.vocabulary_plan
    frame = Frame(settings, 40, layout, cuts, batch=4, sequence=8)
    made = make_plan(
        PROGRAMS[request.param](frame, 3),
        layout,
        layer_costs(settings, 40, 8),
        PlanSettings(2, 2, recompute=Recompute(True, True), optimizer_shard=True),
    )
    assert plan_problems(made) == []
    return made


def with_block(plan, number, **changes):
    blocks = list(plan.blocks)
    blocks[number] = replace(blocks[number], **changes)
    return replace(plan, blocks=tuple(blocks))


def with_operator(plan, number, kind, **changes):
    """The first operator of a kind in a block, changed."""
    program = plan.blocks[number].program
    operators = list(program.operators)
    place = next(n for n, operator in enumerate(operators) if operator.kind == kind)
    operators[place] = replace(operators[place], **changes)
    return with_block(plan, number, program=replace(program, operators=tuple(operators)))


def with_parameter(plan, number, cuts):
    """The first matrix of a block, cut in another way."""
    program = plan.blocks[number].program
    values = list(program.parameters)
    place = next(n for n, value in enumerate(values) if len(value.shape) == 2)
    values[place] = replace(values[place], cuts=cuts)
    return with_block(plan, number, program=replace(program, parameters=tuple(values)))


MUTATIONS = {
    "rows cut over the model axis": lambda p: with_operator(
        p, 1, "MatMul", strategy=((2, 2), (2, 1))
    ),
    "columns not cut": lambda p: with_operator(p, 1, "MatMul", strategy=((2, 1), (1, 1))),
    "does not divide": lambda p: with_operator(p, 1, "MatMul", strategy=((3, 1), (2, 1))),
    "norm over a cut axis": lambda p: with_operator(
        p, 1, "LayerNorm", strategy=((2, 2), (1,), (1,))
    ),
    "a strategy too few": lambda p: with_operator(p, 1, "LayerNorm", strategy=((2, 1), (1,))),
    "a strategy for fewer axes": lambda p: with_operator(p, 1, "Transpose", strategy=((2, 1),)),
    "takes what is not there": lambda p: with_operator(p, 1, "Softmax", inputs=("nowhere",)),
    "softmax over cut scores": lambda p: with_operator(p, 1, "Softmax", strategy=((2, 1, 1, 2),)),
    "another result": lambda p: with_operator(
        p, 1, "Softmax", output=Value("attention.softmax", (4, 4, 8, 8), (1, 2, 1, 1))
    ),
    "parameter cut over another axis": lambda p: with_parameter(p, 2, (1, 2)),
    "parameter cut in four": lambda p: with_parameter(p, 2, (4, 1)),
    "layer on a later stage": lambda p: with_block(p, 1, stage=1),
    "stage that does not exist": lambda p: with_block(p, len(p.blocks) - 1, stage=2),
    "fusion in another order": lambda p: with_block(p, 1, fusion=2),
    "one layer is not recomputed": lambda p: with_block(p, 1, recompute=None),
    "two layers change places with others missing": lambda p: replace(p, blocks=p.blocks[:-1]),
    "too few micro-batches": lambda p: replace(p, engine=replace(p.engine, micro_batches=1)),
    "too few cards": lambda p: replace(p, engine=replace(p.engine, device_num=4)),
    "other stages": lambda p: replace(p, engine=replace(p.engine, pipeline_stages=1)),
    "inputs cut differently": lambda p: replace(
        p, engine=replace(p.engine, dataset_strategy=((1, 1),))
    ),
    "tied parameter forgotten": lambda p: replace(p, tied={}),
    "optimizer level": lambda p: replace(p, engine=replace(p.engine, optimizer_level="level9")),
}


@pytest.mark.parametrize("fault", MUTATIONS)
def test_a_fault_in_a_plan_is_found(plan, fault):
    assert plan_problems(MUTATIONS[fault](plan))


@pytest.mark.parametrize(
    ("kind", "inputs", "settings"),
    [
        ("Add", [((4, 6), (2, 1)), ((4, 6), (1, 2))], {}),
        ("Add", [((4, 6), (2, 1)), ((5, 6), (1, 1))], {}),
        ("MatMul", [((4, 6), (2, 3)), ((8, 6), (1, 2))], {"transpose_b": True}),
        ("Gather", [((2, 4, 6), (2, 2, 1)), ((2, 3), (2, 1))], {"batch_dims": 1}),
        ("Reshape", [((4, 6), (1, 2))], {"shape": (24,)}),
        ("Reshape", [((2, 3, 4), (2, 1, 1))], {"shape": (3, 8)}),
        ("StridedSlice", [((8, 4), (2, 1))], {"first": 0, "rows": 4}),
        ("OneHot", [((4,), (2,))], {"depth": 5, "column_cut": 2}),
    ],
)
def test_operators_that_cannot_work_on_such_parts(kind, inputs, settings):
    values = [Value(str(number), *value) for number, value in enumerate(inputs)]
    with pytest.raises(CutError):
        outcome(kind, values, settings)
