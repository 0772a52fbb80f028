"""ELECTRA: what its generator needs, and how it cannot be divided."""

from collections.abc import Iterator

from mindmlm.config.problems import Problem
from mindmlm.config.schema import ElectraModelConfig, RunConfig

_MODEL = "model.model_config"


def detects_replaced(config: RunConfig) -> bool:
    """Return whether a run is one of ELECTRA's."""
    return isinstance(config.model.settings, ElectraModelConfig)


def electra_is_whole(config: RunConfig) -> Iterator[Problem]:
    """Two networks of different widths share a graph and their embeddings."""
    if not detects_replaced(config):
        return
    _, model_parallel, pipeline_stage = config.degrees
    if model_parallel > 1:
        yield Problem(
            "parallel_config.model_parallel",
            f"{model_parallel}: ELECTRA is not cut into slices (its generator is narrow, ELECTRA-"
            "small's has one attention head); use data_parallel, and optimizer_shard for memory",
        )
    if pipeline_stage > 1:
        yield Problem(
            "parallel_config.pipeline_stage",
            f"{pipeline_stage}: ELECTRA is not cut into stages (the discriminator reads what the "
            "whole generator has written, and both have the embeddings); use data_parallel, and "
            "optimizer_shard for memory",
        )
    if config.use_parallel and config.parallel_mode == 1:
        yield Problem(
            "parallel.parallel_mode",
            "1 (semi_auto_parallel) has no graph for ELECTRA; use 0 (data_parallel) or 3 "
            "(hybrid_parallel)",
        )
    if config.recompute_config.recompute:
        yield Problem(
            "recompute_config.recompute",
            "True: ELECTRA's layers belong to two networks and are not computed again; use smaller "
            "micro-batches (runner_config.batch_size, gradient_accumulation_steps)",
        )


def generator_has_heads(config: RunConfig) -> Iterator[Problem]:
    """Attention heads divide the width of the generator too."""
    settings = config.model.settings
    if not isinstance(settings, ElectraModelConfig):
        return
    generator = settings.generator()
    if generator.hidden_size % generator.num_attention_heads:
        yield Problem(
            f"{_MODEL}.generator_hidden_size",
            f"{settings.generator_hidden_size} of hidden_size {settings.hidden_size} is a "
            f"generator of width {generator.hidden_size}, which its "
            f"{generator.num_attention_heads} attention heads (one for every 64 columns) do not "
            "divide; choose a part that gives a multiple of 64",
        )
