"""From a configuration to the plan of MindSpore's semi-automatic engine."""

from mindmlm.build_data.rows import isolates_documents
from mindmlm.config.schema import RunConfig
from mindmlm.conversion.architectures import architecture_named
from mindmlm.data.masking.base import MaskingSettings
from mindmlm.errors import ConfigError
from mindmlm.models.plan import ParallelPlan
from mindmlm.parallel.layout import ParallelLayout
from mindmlm.parallel.semi_auto.checker import plan_problems
from mindmlm.parallel.semi_auto.operators import CutError
from mindmlm.parallel.semi_auto.plan import PlanSettings, Recompute, SemiAutoPlan, make_plan
from mindmlm.parallel.semi_auto.programs import PROGRAMS
from mindmlm.parallel.semi_auto.transformer import Frame
from mindmlm.parallel.stages import layer_costs


def tensor_plan(config: RunConfig) -> ParallelPlan:
    """Along which axes the parameters of a run are cut over model-parallel ranks."""
    architecture = architecture_named(config.model.arch.type)
    if config.parallel_config.vocab_emb_dp:
        return architecture.tensor_plan
    return architecture.tensor_plan + architecture.vocabulary_plan


def predictions(config: RunConfig) -> int:
    """Positions of a row that the head works on; all where every token is predicted."""
    section = config.train_dataset
    if config.model.settings.type == "GPT2Config":
        return section.max_seq_length
    return MaskingSettings(
        masked_lm_prob=section.masking.masked_lm_prob,
        masked_lm_prob_end=section.masking.masked_lm_prob_end,
        max_predictions_per_seq=section.max_predictions_per_seq,
    ).predictions(section.max_seq_length)


def rows_at_once(config: RunConfig) -> int:
    """Rows of one data-parallel rank that go through the network together."""
    return config.runner_config.batch_size // config.micro_batch_interleave_num


def engine_plan(config: RunConfig, vocab_size: int) -> SemiAutoPlan:
    """The network of a run on its grid of ranks, as the engine is told.

    Args:
        config: of the run; `use_parallel` decides whether its degrees count.
        vocab_size: rows of the word embedding.

    Raises:
        ConfigError: the model cannot be cut in this way; the message has every reason.
    """
    layout, again = ParallelLayout(*config.degrees), config.recompute_config
    interleaved = config.micro_batch_interleave_num
    settings, length = config.model.settings, config.train_dataset.max_seq_length
    frame = Frame(
        settings,
        vocab_size,
        layout,
        tensor_plan(config),
        config.runner_config.batch_size // interleaved * layout.data_parallel,
        length,
        isolates_documents(config),
    )
    recompute = Recompute(again.mp_comm_recompute, again.recompute_slice_activation)
    try:
        plan = make_plan(
            PROGRAMS[config.model.arch.type](frame, predictions(config)),
            layout,
            layer_costs(settings, vocab_size, length),
            PlanSettings(
                config.micro_batches,
                config.parallel_config.gradient_aggregation_group,
                config.parallel.full_batch,
                config.optimizer_parallel,
                again.parallel_optimizer_comm_recompute,
                recompute if again.recompute else None,
                interleaved,
            ),
        )
    except CutError as error:
        raise ConfigError(_refusal(config, [str(error)])) from None
    problems = plan_problems(plan)
    if problems:
        raise ConfigError(_refusal(config, problems))
    return plan


def plan_notes(config: RunConfig) -> list[str]:
    """What a dry run says of a plan of the engine, which it checks.

    Raises:
        ConfigError: see `engine_plan`.
    """
    if not config.use_parallel or config.parallel_mode != 1:
        return []
    vocab_size = config.model.settings.vocab_size
    if vocab_size is None:
        return ["the plan of the engine is checked when the vocabulary is known"]
    plan = engine_plan(config, vocab_size)
    count = sum(len(block.program.operators) for block in plan.blocks)
    return [
        f"the plan of the engine is good: {count} operators in {len(plan.blocks)} blocks, "
        f"{plan.engine.device_num} cards"
    ]


def _refusal(config: RunConfig, problems: list[str]) -> str:
    data, model, stages = config.degrees
    more = [] if len(problems) <= 5 else [f"... and {len(problems) - 5} more"]
    shown = "\n  ".join([*problems[:5], *more])
    return (
        f"parallel_config: data_parallel {data} x model_parallel {model} x pipeline_stage {stages} "
        f"is no plan that MindSpore's engine (parallel_mode 1) can follow:\n  {shown}"
    )
