"""What a run on several processes will do, in words: for the log and for a dry run."""

from collections.abc import Iterator

from mindmlm.config.describe import keys
from mindmlm.config.schema import RunConfig
from mindmlm.config.schema.parallel import MODE_NAMES

# Keys that only the graphs of semi_auto_parallel understand, and what holds in the other modes.
_ONLY_MODE_1 = {
    "parallel_optimizer_comm_recompute": "ZeRO-1 leaves the weights whole, nothing is gathered",
    "mp_comm_recompute": "recomputed layers always repeat their collectives",
    "recompute_slice_activation": "every model-parallel rank keeps the whole input of a layer",
}


def batch_formula(config: RunConfig) -> str:
    """The size of the global batch and the factors it comes from."""
    runner, cuts = config.runner_config, config.parallel_config
    return (
        f"global batch {config.global_batch_size} = batch_size {runner.batch_size} x "
        f"data_parallel {config.degrees[0]} x micro_batch_num {cuts.micro_batch_num} x "
        f"gradient_accumulation_steps {runner.gradient_accumulation_steps}"
    )


def parallel_notes(config: RunConfig) -> list[str]:
    """Lines about processes and about settings that have no effect in this run; often none."""
    return [*_processes(config), *_without_effect(config)]


def dry_run_notes(config: RunConfig) -> list[str]:
    """What a dry run says of a good configuration: `parallel_notes` and the size of a batch."""
    trains = config.run_mode in ("train", "finetune")
    return [*parallel_notes(config), *([batch_formula(config)] if trains else [])]


def _processes(config: RunConfig) -> Iterator[str]:
    cuts = config.parallel_config
    wanted = (cuts.data_parallel, cuts.model_parallel, cuts.pipeline_stage)
    shown = "data_parallel {} x model_parallel {} x pipeline_stage {}".format(*wanted)
    if not config.use_parallel:
        if wanted != (1, 1, 1):
            yield f"use_parallel is False: one process; {shown} of parallel_config is not used"
        return
    plural = "" if config.processes == 1 else "es"
    divided = config.optimizer_parallel and config.degrees[0] > 1
    yield (
        f"{MODE_NAMES[config.parallel_mode]}: {shown} = {config.processes} process{plural}"
        f"{', optimizer state divided' if divided else ''}"
    )
    stages, micro = config.degrees[2], config.micro_batches
    if stages > 1:
        idle = (stages - 1) / (micro + stages - 1)
        yield (
            f"pipeline: {stages} stages and {micro} micro-batches a step; each stage waits "
            f"{idle:.0%} of the time (more micro-batches: less)"
        )


def _without_effect(config: RunConfig) -> Iterator[str]:
    if config.optimizer_parallel and config.degrees[0] == 1:
        yield "optimizer parallel (ZeRO-1) has nothing to cut: data_parallel is 1"
    if config.use_parallel and config.parallel_mode == 1:
        if config.run_mode in ("train", "finetune"):
            yield (
                "parallel_mode 1 does not evaluate while it trains; judge a checkpoint with "
                "--run_mode eval in parallel_mode 3 or one process"
            )
        return
    for name, instead in _ONLY_MODE_1.items():
        path = f"recompute_config.{name}"
        value = getattr(config.recompute_config, name)
        if value != keys()[path].default:
            yield f"{path}: {value} is for parallel_mode 1 (Ascend graphs) only; here {instead}"
