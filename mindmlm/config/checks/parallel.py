"""Several processes: modes, degrees, and what starts the processes.

The degrees count only with `use_parallel: True`, so that a configuration for many machines can be
tried in one process on a laptop.
"""

from collections.abc import Iterator, Mapping

from mindmlm.config.problems import Problem
from mindmlm.config.schema import RunConfig

# Set by msrun, by mindmlm's launcher, by mpirun's wrappers and by ModelArts.
WORLD_VARIABLES = ("MS_WORKER_NUM", "RANK_SIZE")
_SECTION, _MODEL = "parallel_config", "model.model_config"


def engine_has_mode(config: RunConfig) -> Iterator[Problem]:
    """Mode 2 would leave the cuts to a search that nobody could check beforehand."""
    if config.use_parallel and config.parallel_mode == 2:
        yield Problem(
            "parallel.parallel_mode",
            "2 (auto_parallel) is refused: there MindSpore searches for the cuts itself, knows no "
            "pipeline, and parallel_config would have no effect; use 1 (semi_auto_parallel, "
            "Ascend) or 3 (hybrid_parallel, CPU and Ascend), which cut as parallel_config says",
        )


def semi_auto_has_graphs(config: RunConfig) -> Iterator[Problem]:
    """The engine of mode 1 works on compiled graphs."""
    if config.use_parallel and config.parallel_mode == 1 and config.context.mode != 0:
        yield Problem(
            "context.mode",
            "1 (PyNative) has no graph that parallel.parallel_mode 1 (semi_auto_parallel) could "
            "cut; use context.mode 0, or parallel_mode 3 (hybrid_parallel)",
        )


def semi_auto_trains(config: RunConfig) -> Iterator[Problem]:
    """The engine's graph is the whole training step, for rows of one length."""
    if not config.use_parallel or config.parallel_mode != 1:
        return
    if config.run_mode in ("eval", "predict"):
        yield Problem(
            "parallel.parallel_mode",
            f"1 (semi_auto_parallel) trains only, and run_mode is {config.run_mode}; use 3 "
            "(hybrid_parallel) or use_parallel False, which read its checkpoints",
        )
    if config.train_dataset.bucket_lengths:
        yield Problem(
            "train_dataset.bucket_lengths",
            "the one graph of parallel_mode 1 (semi_auto_parallel) takes rows of one length; "
            "remove it, or use parallel_mode 3 (hybrid_parallel)",
        )
    stages, micro = config.degrees[2], config.micro_batches
    if micro < stages:
        yield Problem(
            f"{_SECTION}.micro_batch_num",
            f"{micro} micro-batches for {stages} stages: MindSpore's engine (parallel_mode 1) "
            f"needs at least {stages}; raise it, or use parallel_mode 3 (hybrid_parallel)",
        )


def semi_auto_divides(config: RunConfig) -> Iterator[Problem]:
    """The engine cuts evenly only."""
    model, parts = config.model.settings, config.degrees[1]
    cut = config.use_parallel and not config.parallel_config.vocab_emb_dp
    if config.parallel_mode != 1 or not cut or not model.vocab_size or not model.vocab_size % parts:
        return
    next_size = -(-model.vocab_size // parts) * parts
    yield Problem(
        f"{_SECTION}.vocab_emb_dp",
        f"False cuts the word embedding over model_parallel {parts}, which does not divide "
        f"{_MODEL}.vocab_size {model.vocab_size}; MindSpore's engine (parallel_mode 1) cuts "
        f"evenly only, so use vocab_size {next_size} (the rest is never predicted) or True",
    )


def mode_cuts_what_is_asked(config: RunConfig) -> Iterator[Problem]:
    """Mode 0 has copies of the whole model and nothing else."""
    _, model_parallel, pipeline_stage = config.degrees
    if config.parallel.parallel_mode == 0 and model_parallel * pipeline_stage > 1:
        yield Problem(
            "parallel.parallel_mode",
            f"0 (data_parallel) does not cut the model, but {_SECTION} has model_parallel "
            f"{model_parallel} and pipeline_stage {pipeline_stage}; use 3 (hybrid_parallel) or "
            "null",
        )


def one_optimizer_switch(config: RunConfig) -> Iterator[Problem]:
    """ZeRO-1 has two names, as in MindFormers."""
    enabled, shard = (
        config.parallel.enable_parallel_optimizer,
        config.parallel_config.optimizer_shard,
    )
    if None not in (enabled, shard) and enabled != shard:
        yield Problem(
            f"{_SECTION}.optimizer_shard",
            f"{shard} contradicts parallel.enable_parallel_optimizer: {enabled}; both switch "
            "ZeRO-1, so set one of them (the other to null)",
        )


def model_parallel_divides(config: RunConfig) -> Iterator[Problem]:
    """Attention is cut between heads, the feed-forward layer between its inner columns."""
    model, parts = config.model.settings, config.degrees[1]
    sizes = {
        "num_attention_heads": model.num_attention_heads,
        "intermediate_size": model.inner_size,
    }
    for name, value in sizes.items():
        if value % parts:
            yield Problem(
                f"{_SECTION}.model_parallel",
                f"{parts} does not divide {_MODEL}.{name} {value}; choose a divisor",
            )


def stages_have_layers(config: RunConfig) -> Iterator[Problem]:
    """A pipeline stage without a layer would only pass on what it gets."""
    layers, stages = config.model.settings.num_hidden_layers, config.degrees[2]
    if stages > layers:
        yield Problem(
            f"{_SECTION}.pipeline_stage",
            f"{stages} stages need as many layers, and {_MODEL}.num_hidden_layers is {layers}; "
            "use fewer stages, and data_parallel or model_parallel for the other processes",
        )


def every_process_can_read(config: RunConfig) -> Iterator[Problem]:
    """Standard input belongs to one process, if to any."""
    for section in ("train_dataset", "eval_dataset"):
        if config.use_parallel and getattr(config, section).data_loader.dataset_dir == "-":
            yield Problem(
                f"{section}.data_loader.dataset_dir",
                "standard input (-) cannot be read by several processes; write it to a file first",
            )


def processes_were_started(
    config: RunConfig, environment: Mapping[str, str], dry_run: bool
) -> Iterator[Problem]:
    """As many processes run as the degrees ask for.

    A dry run is one process that has not been started by a launcher.
    """
    given = {name: environment[name] for name in WORLD_VARIABLES if environment.get(name)}
    if dry_run and (not given or not config.use_parallel):
        return
    if any(not text.isdecimal() or int(text) < 1 for text in given.values()):
        shown = ", ".join(f"{name}={text}" for name, text in given.items())
        yield Problem("use_parallel", f"the environment has {shown}; expected a number >= 1")
        return
    counts = {int(text) for text in given.values()} or {1}
    if counts != {config.processes}:
        yield _wrong_number(config, given)


def _wrong_number(config: RunConfig, given: Mapping[str, str]) -> Problem:
    shown = " and ".join(f"{name} is {text}" for name, text in given.items())
    if not config.use_parallel:
        return Problem(
            "use_parallel",
            f"False is one process, but {shown} in the environment; add --use_parallel True, or "
            "start one process without a launcher (and unset these variables)",
        )
    data, model, stages = config.degrees
    needed = (
        f"data_parallel {data} x model_parallel {model} x pipeline_stage {stages} needs "
        f"{config.processes} processes"
    )
    if not given:
        return Problem(
            "use_parallel",
            f"True: {needed}, and this is one that no launcher started; start it with "
            f"msrun --worker_num={config.processes} --local_worker_num={config.processes} "
            "run_mindformer.py ..., or add --use_parallel False to train in one process",
        )
    return Problem(
        _SECTION, f"{needed}, but {shown} in the environment; change the degrees or the launch"
    )
