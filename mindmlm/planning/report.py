"""What a planner found, for people and as JSON."""

from collections.abc import Iterator
from typing import Any

import yaml

from mindmlm.config.schema import RunConfig
from mindmlm.config.schema.memory import show_memory
from mindmlm.planning.layouts import Candidate, Overview, Refused

_HEAD = (
    "data model stage | batch micro again | params  grads  optim  activ (again) buffer  total"
    " | wait  sent  step"
)


def text_report(overview: Overview, config: RunConfig) -> str:
    """Tables, explanations and the `parallel_config` to use."""
    return "\n".join(
        [
            *_table(overview),
            "",
            *_remarks(overview),
            *_own(overview),
            *_refusals(overview),
            *_choice(overview, config),
        ]
    )


def _table(overview: Overview) -> Iterator[str]:
    yield (
        f"layouts that fit into {show_memory(overview.limit)} a card, fastest first (GB of the "
        "fullest rank; wait: share"
    )
    yield "of a step that a stage waits; sent: GB a rank sends in a step; step: estimated seconds)"
    yield ""
    yield _HEAD
    fitting = [one for one in overview.found if isinstance(one, Candidate) and one.fits]
    for one in sorted(fitting, key=lambda one: one.time.seconds):
        yield row(one)
    if not fitting:
        yield "none"


def _remarks(overview: Overview) -> Iterator[str]:
    yield from overview.remarks
    if overview.remarks:
        yield ""


def row(one: Candidate) -> str:
    """A line of the table."""
    grid, rank, time = one.layout, one.fullest, one.time
    sent = time.model_bytes + time.data_bytes + time.stage_bytes
    return (
        f"{grid.data_parallel:4} {grid.model_parallel:5} {grid.pipeline_stage:5} | "
        f"{one.batch_size:5} {one.micro_batches:5} {'yes' if one.recompute else 'no':>5} | "
        f"{_gb(rank.parameters)} {_gb(rank.gradients)} {_gb(rank.optimizer)} "
        f"{_gb(rank.activations)} {_gb(rank.recomputed, 7)} {_gb(rank.buffers)} "
        f"{_gb(one.needed)} | {time.bubble:4.0%} {sent / 2**30:5.1f} {time.seconds:5.1f}"
    )


def _gb(size: int, width: int = 6) -> str:
    return f"{size / 2**30:{width}.1f}"


def _own(overview: Overview) -> Iterator[str]:
    if overview.own is None:
        return
    yield "as it is configured:"
    if isinstance(overview.own, Refused):
        yield f"  {_grid(overview.own)}: {overview.own.reason}"
    else:
        yield _HEAD
        yield row(overview.own)
        yield f"  {_fits(overview.own)}"
    yield ""


def _fits(one: Candidate) -> str:
    verdict = "fits" if one.fits else "does not fit"
    return f"{verdict}: {_parts(one)} = {show_memory(one.needed)} of {show_memory(one.limit)}"


def _parts(one: Candidate) -> str:
    rank = one.fullest
    kept = rank.recomputed if one.recompute else rank.activations
    named = {
        "parameters": rank.parameters,
        "gradients": rank.gradients,
        "optimizer": rank.optimizer,
        "activations": kept,
        "buffers": rank.buffers,
    }
    return " + ".join(f"{name} {show_memory(size)}" for name, size in named.items())


def _refusals(overview: Overview) -> Iterator[str]:
    others = [one for one in overview.found if isinstance(one, Refused) or not one.fits]
    if not others:
        return
    yield "layouts that do not fit:"
    for one in others:
        if isinstance(one, Refused):
            yield f"  {_grid(one)}: {one.reason}"
        else:
            yield (
                f"  {_grid(one)}: at least {show_memory(one.needed)} of {show_memory(one.limit)} "
                f"(stage {one.fullest.stage}: {_parts(one)})"
            )
    yield ""


def _grid(one: Candidate | Refused) -> str:
    grid = one.layout
    return (
        f"data_parallel {grid.data_parallel} x model_parallel {grid.model_parallel} x "
        f"pipeline_stage {grid.pipeline_stage}"
    )


def _choice(overview: Overview, config: RunConfig) -> Iterator[str]:
    best, own = overview.best, overview.own
    if best is None:
        yield "no layout fits: more cards, smaller rows or a smaller model"
        return
    if isinstance(own, Candidate) and own.fits:
        gain = own.time.seconds / best.time.seconds
        yield f"recommended, {gain:.2f} times as fast as the configured one by this estimate:"
    else:
        yield "recommended:"
    yield ""
    yield recommended_yaml(best, config).rstrip()


def recommended(best: Candidate, config: RunConfig) -> dict[str, dict[str, Any]]:
    """Sections of a configuration that choose a candidate."""
    grid, cuts = best.layout, config.parallel_config
    return {
        "parallel_config": {
            "data_parallel": grid.data_parallel,
            "model_parallel": grid.model_parallel,
            "pipeline_stage": grid.pipeline_stage,
            "optimizer_shard": config.optimizer_parallel,
            "micro_batch_num": best.micro_batches,
            "vocab_emb_dp": cuts.vocab_emb_dp,
            "gradient_aggregation_group": cuts.gradient_aggregation_group,
        },
        "recompute_config": {"recompute": best.recompute},
        "runner_config": {"batch_size": best.batch_size, "gradient_accumulation_steps": 1},
    }


def recommended_yaml(best: Candidate, config: RunConfig) -> str:
    """As `recommended`, to paste into a configuration."""
    return yaml.safe_dump(recommended(best, config), sort_keys=False)


def json_report(overview: Overview, config: RunConfig) -> dict[str, Any]:
    """Everything in bytes, seconds and shares."""
    best = overview.best
    return {
        "vocab_size": overview.vocab_size,
        "device_memory": overview.limit,
        "remarks": list(overview.remarks),
        "configured": None if overview.own is None else _json(overview.own),
        "layouts": [_json(one) for one in overview.found],
        "recommended": None if best is None else recommended(best, config),
    }


def _json(one: Candidate | Refused) -> dict[str, Any]:
    grid = one.layout
    degrees = {
        "data_parallel": grid.data_parallel,
        "model_parallel": grid.model_parallel,
        "pipeline_stage": grid.pipeline_stage,
    }
    if isinstance(one, Refused):
        return {**degrees, "fits": False, "reason": one.reason}
    return {
        **degrees,
        "fits": one.fits,
        **({} if one.fits else {"reason": _fits(one)}),
        "batch_size": one.batch_size,
        "micro_batch_num": one.micro_batches,
        "recompute": one.recompute,
        "bytes": one.needed,
        "stages": [rank.to_dict() for rank in one.ranks],
        "step": one.time.to_dict(),
    }
