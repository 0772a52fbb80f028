"""Every layout of a number of cards: does it fit, how long is a step, which is best."""

from collections.abc import Iterator
from dataclasses import dataclass

from mindmlm.config.schema import ElectraModelConfig, RunConfig
from mindmlm.parallel.layout import ParallelLayout
from mindmlm.planning.device import Device
from mindmlm.planning.memory import RankBytes, rank_bytes
from mindmlm.planning.notes import plan_remarks
from mindmlm.planning.step_time import StepTime, step_time
from mindmlm.planning.teacher import distils


@dataclass(frozen=True)
class Candidate:
    """One way to run a configuration.

    Args:
        layout: of the ranks.
        batch_size: rows of a micro-batch on one data-parallel rank.
        micro_batches: of a step.
        recompute: whether layers are computed again.
        ranks: bytes of the fullest rank of each stage.
        time: of a step.
        limit: bytes of a card.
    """

    layout: ParallelLayout
    batch_size: int
    micro_batches: int
    recompute: bool
    ranks: tuple[RankBytes, ...]
    time: StepTime
    limit: int

    @property
    def fullest(self) -> RankBytes:
        """The rank that needs most."""
        return max(self.ranks, key=lambda rank: rank.total(self.recompute))

    @property
    def needed(self) -> int:
        """Bytes that it needs."""
        return self.fullest.total(self.recompute)

    @property
    def fits(self) -> bool:
        """Whether all ranks have room."""
        return self.needed <= self.limit


@dataclass(frozen=True)
class Refused:
    """A layout that the model cannot be divided into.

    Args:
        layout: of the ranks.
        reason: in words.
    """

    layout: ParallelLayout
    reason: str


def layouts(devices: int) -> list[ParallelLayout]:
    """Every grid of `devices` ranks, fewest cuts of the model first."""
    found = [
        ParallelLayout(devices // (model * stages), model, stages)
        for model in range(1, devices + 1)
        for stages in range(1, devices + 1)
        if devices % (model * stages) == 0
    ]
    return sorted(
        found, key=lambda grid: (grid.model_parallel * grid.pipeline_stage, grid.model_parallel)
    )


def rows_of_step(config: RunConfig) -> int:
    """The global batch by the own degrees of a configuration, whether they are in use or not."""
    rows = config.runner_config.batch_size * config.micro_batches
    return rows * config.parallel_config.data_parallel


def refusal(config: RunConfig, vocab_size: int, layout: ParallelLayout) -> str | None:
    """Why the model cannot be divided so; None where it can."""
    settings, rows = config.model.settings, rows_of_step(config)
    model, stages = layout.model_parallel, layout.pipeline_stage
    if isinstance(settings, ElectraModelConfig) and model * stages > 1:
        return "ELECTRA is not cut: data_parallel and optimizer_shard only"
    if distils(config) and model > 1 and not config.parallel_config.vocab_emb_dp:
        return "vocab_emb_dp False cuts the vocabulary, and the teacher's is whole"
    if settings.num_attention_heads % model:
        return f"model_parallel {model} does not divide {settings.num_attention_heads} heads"
    if settings.inner_size % model:
        return f"model_parallel {model} does not divide intermediate_size {settings.inner_size}"
    if stages > settings.num_hidden_layers:
        return f"{stages} stages for {settings.num_hidden_layers} layers"
    if rows % layout.data_parallel:
        return f"data_parallel {layout.data_parallel} does not divide the {rows} rows of a step"
    if config.parallel_mode == 1 and rows // layout.data_parallel < stages:
        return f"{rows // layout.data_parallel} rows a rank are no {stages} micro-batches"
    uneven = not config.parallel_config.vocab_emb_dp and vocab_size % model
    if config.parallel_mode == 1 and uneven:
        return f"model_parallel {model} does not divide the vocabulary of {vocab_size}"
    return None


def candidate(
    config: RunConfig, vocab_size: int, layout: ParallelLayout, device: Device, limit: int
) -> Candidate:
    """The run as it is configured, on a layout; `config` says micro-batches and recomputation."""
    recompute = config.recompute_config.recompute
    ranks = tuple(rank_bytes(config, vocab_size, layout))
    gradients = max(rank.gradients for rank in ranks)
    time = step_time(config, vocab_size, layout, recompute, gradients, device)
    batch = config.runner_config.batch_size
    return Candidate(layout, batch, config.micro_batches, recompute, ranks, time, limit)


def best_of_layout(
    config: RunConfig, vocab_size: int, layout: ParallelLayout, device: Device, limit: int
) -> Candidate | Refused:
    """The fastest way to do the same global batch on a layout; if none fits, the smallest."""
    reason = refusal(config, vocab_size, layout)
    if reason:
        return Refused(layout, reason)
    tried = [
        candidate(variant, vocab_size, layout, device, limit)
        for variant in _variants(config, layout)
    ]
    fitting = [found for found in tried if found.fits]
    if fitting:
        return min(fitting, key=lambda found: found.time.seconds)
    return min(tried, key=lambda found: found.needed)


def _variants(config: RunConfig, layout: ParallelLayout) -> Iterator[RunConfig]:
    """The same rows a step in larger and smaller micro-batches, computed again or not."""
    rows = rows_of_step(config) // layout.data_parallel
    size = 1
    # A check refuses to compute the layers of two networks again.
    choices = (False,) if isinstance(config.model.settings, ElectraModelConfig) else (False, True)
    while size <= min(rows, 64):
        enough = rows // size >= layout.pipeline_stage or config.parallel_mode != 1
        if rows % size == 0 and enough:
            for recompute in choices:
                yield with_choice(config, size, rows // size, recompute)
        size *= 2


def with_choice(config: RunConfig, batch_size: int, micro: int, recompute: bool) -> RunConfig:
    """The configuration with other micro-batches and another choice of recomputation."""
    runner = {"batch_size": batch_size, "gradient_accumulation_steps": 1}
    return config.model_copy(
        update={
            "runner_config": config.runner_config.model_copy(update=runner),
            "parallel_config": config.parallel_config.model_copy(update={"micro_batch_num": micro}),
            "recompute_config": config.recompute_config.model_copy(update={"recompute": recompute}),
        }
    )


@dataclass(frozen=True)
class Overview:
    """What a planner found.

    Args:
        own: the configuration's own layout, as it is; None where it is for another number of cards.
        found: the best of each layout, or why there is none.
        vocab_size: rows of the word embedding that was counted with.
        limit: bytes of a card.
        remarks: what is left out or taken for granted, see `plan_remarks`.
    """

    own: Candidate | Refused | None
    found: tuple[Candidate | Refused, ...]
    vocab_size: int
    limit: int
    remarks: tuple[str, ...] = ()

    @property
    def best(self) -> Candidate | None:
        """The fastest of those that fit."""
        fitting = [one for one in self.found if isinstance(one, Candidate) and one.fits]
        return min(fitting, key=lambda one: one.time.seconds, default=None)


def overview(
    config: RunConfig, vocab_size: int, devices: int, device: Device, limit: int
) -> Overview:
    """Go through all layouts of `devices` cards with `limit` bytes each."""
    found = tuple(
        best_of_layout(config, vocab_size, layout, device, limit) for layout in layouts(devices)
    )
    cuts = config.parallel_config
    own: Candidate | Refused | None = None
    layout = ParallelLayout(cuts.data_parallel, cuts.model_parallel, cuts.pipeline_stage)
    if layout.world_size == devices:
        reason = refusal(config, vocab_size, layout)
        own = (
            Refused(layout, reason)
            if reason
            else candidate(config, vocab_size, layout, device, limit)
        )
    return Overview(own, found, vocab_size, limit, tuple(plan_remarks(config, vocab_size)))
