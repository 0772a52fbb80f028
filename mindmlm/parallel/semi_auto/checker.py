"""Whether a plan for the semi-automatic engine can work: checked before anyone books cards. Pure.

What the engine would find after an hour of compiling, or not at all: a strategy that does not
divide a shape, neighbours that cut a tensor differently (the engine would move it between cards in
every step without a word), a layer on the wrong stage, a parameter that two blocks cut differently.
"""

import math
from collections.abc import Iterator

from mindmlm.parallel.semi_auto.operators import CutError, Operator, Value, outcome
from mindmlm.parallel.semi_auto.plan import ACTIVATIONS, BlockPlan, SemiAutoPlan, input_name


def plan_problems(plan: SemiAutoPlan) -> list[str]:
    """Return what is wrong with a plan, in words; often nothing."""
    found: list[str] = []
    for block in plan.blocks:
        found += (f"{block.program.name}: {text}" for text in _program_problems(plan, block))
    return [
        *found,
        *_chain_problems(plan),
        *_parameter_problems(plan),
        *_stage_problems(plan),
        *_fusion_problems(plan),
        *_engine_problems(plan),
    ]


def _program_problems(plan: SemiAutoPlan, block: BlockPlan) -> Iterator[str]:
    """Every operator in turn, from the inputs to the result."""
    program = block.program
    known = {value.name: value for value in (*program.inputs, *program.parameters)}
    known |= {
        name: Value(name, array.shape, (1,) * array.ndim)
        for name, array in program.constants.items()
    }
    for operator in program.operators:
        yield from _operator_problems(plan, operator, known)
        known[operator.name] = operator.output
    if known.get(program.output.name) != program.output:
        yield f"the result {program.output} is not what its operators make"


def _operator_problems(
    plan: SemiAutoPlan, operator: Operator, known: dict[str, Value]
) -> Iterator[str]:
    missing = [name for name in operator.inputs if name not in known]
    if missing:
        yield f"{operator.name}: takes {missing}, which nothing before it makes"
        return
    if len(operator.strategy) != len(operator.inputs):
        yield f"{operator.name}: {len(operator.strategy)} strategies for {operator.inputs}"
        return
    taken = []
    for name, cuts in zip(operator.inputs, operator.strategy, strict=True):
        if known[name].cuts != cuts:
            yield f"{operator.name}: takes {name} cut {cuts}, but it comes cut {known[name].cuts}"
        taken.append(Value(name, known[name].shape, cuts))
    try:
        made = outcome(operator.kind, taken, operator.settings)
    except CutError as error:
        yield f"{operator.name}: {error}"
        return
    if (made.shape, made.cuts) != (operator.output.shape, operator.output.cuts):
        yield f"{operator.name}: makes {made.shape} cut {made.cuts}, not {operator.output}"
    cards = plan.layout.data_parallel * plan.layout.model_parallel
    if cards % (math.prod(made.cuts) * made.summands):
        yield f"{operator.name}: {made.cuts} in {made.summands} summands on {cards} cards"


def _chain_problems(plan: SemiAutoPlan) -> Iterator[str]:
    """What a block hands on is what the next one takes, and inputs of one name are one array."""
    given = {value.name: value for value in plan.inputs}
    before: Value | None = None
    for block in plan.blocks:
        program = block.program
        for value in program.inputs:
            name = input_name(program, value)
            source = before if value.name == ACTIVATIONS else given.get(name)
            if source is None:
                yield f"{program.name}: nothing gives it {name}"
            elif (source.shape, source.cuts) != (value.shape, value.cuts):
                yield f"{program.name}: takes {value}, and is given {source}"
        before = program.output
    if before is None or before.shape != ():
        yield f"the last block makes {before}, not a loss"


def _parameter_problems(plan: SemiAutoPlan) -> Iterator[str]:
    """A parameter is cut in one way, over the model axis alone."""
    found: dict[str, Value] = {}
    for block in plan.blocks:
        for value in block.program.parameters:
            if found.setdefault(value.name, value) != value:
                yield f"{value.name}: {block.program.name} takes {value}, not {found[value.name]}"
            if math.prod(value.cuts) not in (1, plan.layout.model_parallel):
                yield f"{value.name}: cut {value.cuts}, not over the model axis"


def _stage_problems(plan: SemiAutoPlan) -> Iterator[str]:
    stages = [block.stage for block in plan.blocks]
    if sorted(stages) != stages or set(stages) != set(range(plan.layout.pipeline_stage)):
        yield f"stages {stages} are not those of {plan.layout.pipeline_stage} in a row"
    uses: dict[str, set[int]] = {}
    for block in plan.blocks:
        for value in block.program.parameters:
            uses.setdefault(value.name, set()).add(block.stage)
    shared = {name: tuple(sorted(where)) for name, where in uses.items() if len(where) > 1}
    if shared != dict(plan.tied):
        yield f"parameters of several stages are {shared}, and the plan says {dict(plan.tied)}"


def _fusion_problems(plan: SemiAutoPlan) -> Iterator[str]:
    groups = [block.fusion for block in plan.blocks]
    if sorted(groups) != groups or set(groups) != set(range(1, groups[-1] + 1)):
        yield f"fusion groups {groups} do not count up from 1"
    kinds = {block.recompute for block in plan.blocks[1:-1]}
    if len(kinds) > 1:
        yield f"layers are recomputed in different ways: {kinds}"


def _engine_problems(plan: SemiAutoPlan) -> Iterator[str]:
    engine, layout = plan.engine, plan.layout
    if engine.device_num != layout.world_size:
        yield f"device_num {engine.device_num} for {layout.world_size} ranks"
    if engine.pipeline_stages != layout.pipeline_stage:
        yield f"pipeline_stages {engine.pipeline_stages} for {layout.pipeline_stage}"
    if engine.micro_batches < layout.pipeline_stage:
        yield (
            f"{engine.micro_batches} micro-batches for {layout.pipeline_stage} stages: the engine "
            "needs as many as stages at least (parallel_config.micro_batch_num)"
        )
    if engine.dataset_strategy != tuple(value.cuts for value in plan.inputs):
        yield "dataset_strategy is not how the inputs are cut"
    if engine.optimizer_shard and layout.data_parallel == 1:
        yield "the optimizer cannot be cut over one rank"
    if engine.optimizer_level not in ("level1", "level3"):
        yield f"optimizer_level {engine.optimizer_level} is not level1 or level3"
