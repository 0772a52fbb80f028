"""Several processes."""

from collections.abc import Iterator

from mindmlm.config.problems import Problem
from mindmlm.config.schema import RunConfig


def one_process(config: RunConfig) -> Iterator[Problem]:
    """Several devices need the parallel engine."""
    if config.use_parallel:
        yield Problem(
            "use_parallel",
            "True needs the parallel engine, which this version does not have; use False",
        )
