"""Which ranks this machine runs, and the environment of each process. Pure: nothing is started."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mindmlm.errors import ConfigError
from mindmlm.runtime.rank_table import RankTable

DEFAULT_SCHEDULER_PORT = 8118
SCHEDULER_PORT_VARIABLE = "MS_SCHED_PORT"

_RANGE = re.compile(r"\[\s*(\d{1,6})\s*,\s*(\d{1,6})\s*[\])]")
# Used where the user has set nothing; docs/distributed.md says why.
_CPU_DEFAULTS = {
    "MS_TOPO_TIMEOUT": "600",
    "MS_RETRY_INTERVAL_LOWER": "1",
    "MS_RETRY_INTERVAL_UPPER": "1",
}
# How long a rank waits in a collective: MindSpore 2.9 takes the first (and knows no other name),
# 2.10 the second. The first would also make the scheduler slow to miss a rank: not for it.
_CPU_WORKER_DEFAULTS = {"MS_NODE_TIMEOUT": "600", "MS_CPU_COMM_OP_TIMEOUT": "600"}
_ASCEND_DEFAULTS = {"HCCL_CONNECT_TIMEOUT": "600"}
# Set by the launcher alone; what an outer launcher left would mislead MindSpore.
_OWN = (
    "MS_ROLE",
    "MS_WORKER_NUM",
    "MS_SCHED_HOST",
    "MS_SCHED_PORT",
    "MS_NODE_ID",
    "RANK_TABLE_FILE",
    "RANK_SIZE",
    "RANK_ID",
    "DEVICE_ID",
)


@dataclass(frozen=True)
class Plan:
    """What this machine contributes to a job.

    Args:
        table_path: absolute path of the rank table, for the workers.
        table: its content.
        ranks: those that run here.
        on_cpu: processes with MindSpore's scheduler instead of Ascend cards.
        scheduler_port: on a CPU, the port of the scheduler on the first server.
    """

    table_path: Path
    table: RankTable
    ranks: tuple[int, ...]
    on_cpu: bool
    scheduler_port: int = DEFAULT_SCHEDULER_PORT

    @property
    def scheduler_host(self) -> str:
        """Address of the scheduler: the first server."""
        return self.table.servers[0].server_id

    @property
    def starts_scheduler(self) -> bool:
        """Whether MindSpore's scheduler is started here, beside rank 0."""
        return self.on_cpu and 0 in self.ranks

    @property
    def whole_job(self) -> bool:
        """Whether all ranks of the job run here."""
        return len(self.ranks) == self.table.rank_size

    def worker_environment(self, rank: int, inherited: Mapping[str, str]) -> dict[str, str]:
        """The environment of one rank."""
        environment = self._common(inherited)
        environment |= {
            "RANK_TABLE_FILE": str(self.table_path),
            "RANK_SIZE": str(self.table.rank_size),
            "RANK_ID": str(rank),
            "DEVICE_ID": str(self.table.device(rank).device_id),
        }
        if not self.on_cpu:
            return environment
        environment |= {"MS_ROLE": "MS_WORKER", "MS_NODE_ID": str(rank)}
        return {**_CPU_WORKER_DEFAULTS, **environment}

    def scheduler_environment(self, inherited: Mapping[str, str]) -> dict[str, str]:
        """The environment of MindSpore's scheduler; it does not see the rank table."""
        return {**self._common(inherited), "MS_ROLE": "MS_SCHED"}

    def _common(self, inherited: Mapping[str, str]) -> dict[str, str]:
        kept = {name: value for name, value in inherited.items() if name not in _OWN}
        defaults = {"PYTHONUNBUFFERED": "1", "PYTHONFAULTHANDLER": "1"}
        if not self.on_cpu:
            return {**defaults, **_ASCEND_DEFAULTS, **kept}
        threads = max(1, (os.cpu_count() or 1) // len(self.ranks))
        own = {
            "MS_WORKER_NUM": str(self.table.rank_size),
            "MS_SCHED_HOST": self.scheduler_host,
            "MS_SCHED_PORT": str(self.scheduler_port),
        }
        return {**defaults, **_CPU_DEFAULTS, "OMP_NUM_THREADS": str(threads), **kept, **own}


def parse_range(name: str, text: str) -> range:
    """Read ``[0,8]`` or ``[0,8)``; both are 0 to 7. `name` is for messages.

    Raises:
        ConfigError: it is no such range, or an empty one.
    """
    match = _RANGE.fullmatch(text.strip())
    if match is None:
        raise ConfigError(
            f"{name}: {text!r} is no range; expected [FIRST,END], for example [0,8] for 0 to "
            "7. Put it in quotes when files named 0 or 8 lie in this folder: the shell takes "
            "brackets for a pattern of file names"
        )
    first, end = int(match[1]), int(match[2])
    if first >= end:
        raise ConfigError(
            f"{name}: {text} is empty; the end does not belong to the range, so [0,8] is 0 to 7"
        )
    return range(first, end)


def ranks_of_job(table: RankTable, wanted: range, rank_size: int) -> tuple[int, ...]:
    """The ranks of this machine when RANK_SIZE is given: DEVICE_RANGE counts ranks.

    Raises:
        ConfigError: RANK_SIZE is not that of the table, or the range goes beyond it.
    """
    if rank_size != table.rank_size:
        raise ConfigError(
            f"RANK_SIZE: {rank_size} was given and the rank table has {table.rank_size} ranks on "
            f"{len(table.servers)} servers"
        )
    if wanted.stop > rank_size:
        raise ConfigError(
            f"DEVICE_RANGE: [{wanted.start},{wanted.stop}] goes beyond the ranks of the rank "
            f"table, 0 to {rank_size - 1}"
        )
    return tuple(wanted)


def ranks_of_machine(table: RankTable, wanted: range) -> tuple[int, ...]:
    """The ranks when RANK_SIZE is not given: one machine, DEVICE_RANGE counts its cards.

    Raises:
        ConfigError: the table has several servers, or other cards than the range.
    """
    if len(table.servers) > 1:
        raise ConfigError(
            f"the rank table has {len(table.servers)} servers with {table.rank_size} ranks; for "
            f"several machines give RANK_SIZE ({table.rank_size}) after RUN_MODE"
        )
    ranks = {device.device_id: device.rank_id for device in table.servers[0].devices}
    if set(wanted) != set(ranks):
        cards = ", ".join(str(card) for card in sorted(ranks))
        raise ConfigError(
            f"DEVICE_RANGE: [{wanted.start},{wanted.stop}] means the cards {wanted.start} to "
            f"{wanted.stop - 1}, and the rank table has the cards {cards}"
        )
    return tuple(sorted(ranks.values()))


def check_target(table: RankTable, ranks: tuple[int, ...], on_cpu: bool) -> None:
    """Raise ConfigError when the table was not made for this kind of device."""
    if on_cpu and not table.of_processes:
        raise ConfigError(
            "the rank table is one of Ascend cards and the configuration asks for a CPU, whose "
            "processes reach this machine only; make a table with tools/hccl_tools.py "
            "--device_target CPU"
        )
    if not on_cpu and table.of_processes:
        raise ConfigError(
            "the rank table is one of processes on this machine and the configuration asks for "
            "Ascend; make a table with tools/hccl_tools.py on each machine"
        )
    servers = list(dict.fromkeys(table.server(rank).server_id for rank in ranks))
    if not on_cpu and len(servers) > 1:
        raise ConfigError(
            f"DEVICE_RANGE: ranks {ranks[0]} to {ranks[-1]} lie on several servers "
            f"({', '.join(servers)}); start each machine with the ranks of its own"
        )


def scheduler_port(inherited: Mapping[str, str]) -> int | None:
    """The port in MS_SCHED_PORT; None when it is not set.

    Raises:
        ConfigError: it is no port.
    """
    text = inherited.get(SCHEDULER_PORT_VARIABLE)
    if not text:
        return None
    if not (text.isascii() and text.isdigit()) or not 1024 <= int(text) <= 65535:
        raise ConfigError(f"{SCHEDULER_PORT_VARIABLE}: {text!r} is no port (1024 to 65535)")
    return int(text)
