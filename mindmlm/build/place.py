"""Which part of the work this process has."""

from mindmlm.config.schema import RunConfig
from mindmlm.errors import ConfigError
from mindmlm.parallel.layout import ParallelLayout
from mindmlm.parallel.place import Place
from mindmlm.runtime.world import World


def layout_of(config: RunConfig) -> ParallelLayout:
    """The grid of ranks; one process where `use_parallel` is off, whatever the degrees say."""
    return ParallelLayout(*config.degrees)


def place_of(config: RunConfig, world: World) -> Place:
    """The place of this process in the grid.

    Raises:
        ConfigError: there are more or fewer processes than places.
    """
    layout = layout_of(config)
    if layout.world_size != world.size:
        raise ConfigError(
            f"parallel_config: data_parallel {layout.data_parallel} x model_parallel "
            f"{layout.model_parallel} x pipeline_stage {layout.pipeline_stage} needs "
            f"{layout.world_size} processes, and {world.size} were started"
        )
    return Place(layout, world.rank)
