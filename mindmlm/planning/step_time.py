"""How long a step may take: arithmetic and messages, without any overlap of the two."""

from dataclasses import asdict, dataclass

from mindmlm.config.schema import RunConfig
from mindmlm.parallel.layout import ParallelLayout
from mindmlm.planning.arithmetic import stage_costs
from mindmlm.planning.device import Device

_FLOAT = 4


@dataclass(frozen=True)
class StepTime:
    """Estimate of one optimizer step.

    Args:
        compute: seconds of arithmetic of the slowest stage, all micro-batches.
        bubble: share of the time that a stage waits for the pipeline, (p - 1) / (m + p - 1).
        model_bytes, data_bytes, stage_bytes: that one rank sends to its model group, its data
            group and its neighbours in a step.
        messages: seconds that these take.
        seconds: of the whole step.
    """

    compute: float
    bubble: float
    model_bytes: int
    data_bytes: int
    stage_bytes: int
    messages: float
    seconds: float

    def to_dict(self) -> dict[str, float]:
        """By name."""
        return asdict(self)


def step_time(
    config: RunConfig,
    vocab_size: int,
    layout: ParallelLayout,
    recompute: bool,
    gradients: int,
    device: Device,
) -> StepTime:
    """Estimate a step.

    Args:
        config: of the run; its own degrees are not looked at, its micro-batches are.
        vocab_size: rows of the word embedding.
        layout: of the ranks.
        recompute: whether layers are computed again.
        gradients: bytes of them on the fullest rank.
        device: what it runs on.
    """
    data, model, stages = layout.data_parallel, layout.model_parallel, layout.pipeline_stage
    micro, length = config.micro_batches, config.train_dataset.max_seq_length
    rows = config.runner_config.batch_size * length
    settings = config.model.settings
    costs = stage_costs(config, vocab_size, stages)
    layers = max(cost.layers for cost in costs)
    # A multiplication and an addition; backward costs twice the forward pass.
    again = recompute or (config.parallel_mode != 1 and stages > 1)
    slowest = max(cost.of_step(model, 4 if again else 3) for cost in costs)
    compute = micro * rows * slowest * 2 / device.speed
    entry = _FLOAT * rows * settings.hidden_size
    # Two sums a layer in each pass over it (Shoeybi et al. 2019); a ring sends 2 (n - 1) / n.
    sums = layers * micro * (6 if again else 4)
    model_bytes = round(sums * entry * 2 * (model - 1) / model)
    data_bytes = round(gradients * 2 * (data - 1) / data)
    stage_bytes = 2 * micro * entry if stages > 1 else 0
    seconds_model = model_bytes / _speed(device, model)
    seconds_stage = stage_bytes / _speed(device, data * model * stages)
    seconds_data = data_bytes / _speed(device, data * model)
    bubble = (stages - 1) / (micro + stages - 1)
    busy = compute + seconds_model + seconds_stage
    return StepTime(
        compute,
        bubble,
        model_bytes,
        data_bytes,
        stage_bytes,
        seconds_model + seconds_stage + seconds_data,
        busy / (1.0 - bubble) + seconds_data,
    )


def _speed(device: Device, span: int) -> float:
    """Bytes a second between ranks of a group that reaches over `span` neighbouring ranks."""
    inside = span <= device.per_machine
    return (device.bandwidth if inside else device.network) * 1e9
