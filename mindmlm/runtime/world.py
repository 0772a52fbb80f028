"""How many processes there are, and which one this is."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from mindmlm.errors import ConfigError

# One process a card, said by a launcher: MindSpore's own name first, then Ascend's rank tables.
_SIZE_VARIABLES = ("MS_WORKER_NUM", "RANK_SIZE")


@dataclass(frozen=True)
class World:
    """The processes of a run.

    Args:
        rank: number of this one, from 0.
        size: how many there are.
    """

    rank: int = 0
    size: int = 1


def expected_size(environ: Mapping[str, str] = os.environ) -> int | None:
    """Number of processes that a launcher has announced; None: there is none.

    Raises:
        ConfigError: it is no number.
    """
    for name in _SIZE_VARIABLES:
        text = environ.get(name)
        if text:
            if not text.isdecimal() or int(text) < 1:
                raise ConfigError(f"{name}={text}: the number of processes is a whole number")
            return int(text)
    return None


def device_number(
    configured: int, use_parallel: bool, environ: Mapping[str, str] = os.environ
) -> int:
    """Number of the card of this process: DEVICE_ID of a parallel job, else the configured one.

    Raises:
        ConfigError: DEVICE_ID is no number.
    """
    text = environ.get("DEVICE_ID")
    if not use_parallel or not text:
        return configured
    if not (text.isascii() and text.isdigit()):
        raise ConfigError(f"DEVICE_ID={text}: the number of a card is a whole number from 0")
    return int(text)


def join_world(use_parallel: bool) -> World:
    """Meet the other processes; without `use_parallel` this one is alone.

    The device must have been chosen. A process of a job of one has nobody to meet.

    Raises:
        ConfigError: no launcher has started this process.
    """
    if not use_parallel:
        return World()
    size = expected_size()
    if size is None:
        raise ConfigError(
            "use_parallel: True needs a launcher that starts one process for each device; use "
            "scripts/run_distribute.sh or msrun (docs/distributed.md), or --use_parallel False"
        )
    if size == 1:
        return World()
    from mindspore.communication import get_group_size, get_rank, init

    init()
    return World(get_rank(), get_group_size())
