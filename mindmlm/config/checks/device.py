"""What a device cannot run."""

from collections.abc import Iterator

from mindmlm.config.problems import Problem
from mindmlm.config.schema import RunConfig
from mindmlm.config.schema.parallel import MODE_NAMES


def no_data_sinking(config: RunConfig, device_target: str) -> Iterator[Problem]:
    """Batches are handed over step by step."""
    if not config.runner_config.sink_mode:
        return
    if device_target == "CPU":
        reason = "True is refused on a CPU: data sinking is a feature of Ascend graphs"
    else:
        reason = (
            "True is refused: MindSpore sinks data sets of its own only, and batches and dropout "
            "masks are made for each step here, so that a resumed run is exact"
        )
    yield Problem("runner_config.sink_mode", f"{reason}; use False")


def dtype_runs_on_device(config: RunConfig, device_target: str) -> Iterator[Problem]:
    """MindSpore's CPU back-end has no bfloat16 matrix product."""
    if config.model.settings.compute_dtype == "bfloat16" and device_target == "CPU":
        yield Problem(
            "model.model_config.compute_dtype",
            "bfloat16 is refused on a CPU: MindSpore has no bfloat16 MatMul there; use float32",
        )


def engine_runs_on_device(config: RunConfig, device_target: str) -> Iterator[Problem]:
    """MindSpore refuses its own parallel engines on a CPU."""
    mode = config.parallel_mode
    if config.use_parallel and mode == 1 and device_target == "CPU":
        yield Problem(
            "parallel.parallel_mode",
            f"{mode} ({MODE_NAMES[mode]}) is refused on a CPU: MindSpore's engine for it cuts "
            "Ascend graphs only; use 3 (hybrid_parallel), which takes the same parallel_config on "
            "a CPU and on Ascend",
        )
