"""What the platform says of this process by its environment, checked."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mindmlm.errors import ConfigError
from mindmlm.runtime import rank_table

CACHE_ROOT = "MINDMLM_CACHE_ROOT"
UPLOAD_SECONDS = "MINDMLM_UPLOAD_SECONDS"
WAIT_SECONDS = "MINDMLM_WAIT_SECONDS"
_DEFAULT_CACHE_ROOT = "/cache"


@dataclass(frozen=True)
class Platform:
    """A process that the platform has started.

    Args:
        rank: its number in the job (RANK_ID), 0 for one that is alone.
        servers: machines of the job, of RANK_TABLE_FILE; 1 without one.
        cache_root: folder on a large local disk (MINDMLM_CACHE_ROOT).
        upload_seconds: between two looks for files to upload (MINDMLM_UPLOAD_SECONDS).
        wait_seconds: most that a process waits for another one of its machine to download or upload
            (MINDMLM_WAIT_SECONDS).
    """

    rank: int = 0
    servers: int = 1
    cache_root: Path = Path(_DEFAULT_CACHE_ROOT)
    upload_seconds: float = 30.0
    wait_seconds: float = 7200.0

    @classmethod
    def from_environment(
        cls, use_parallel: bool, environ: Mapping[str, str] = os.environ
    ) -> "Platform":
        """Read and check the variables.

        Args:
            use_parallel: whether the process is one of several; else its rank does not count.
            environ: the variables.

        Raises:
            ConfigError: a value is no number, or rank, card and rank table contradict each other.
        """
        rank = _number("RANK_ID", environ) if use_parallel and environ.get("RANK_ID") else 0
        return cls(
            rank=rank,
            servers=_servers(rank, environ) if use_parallel else 1,
            cache_root=Path(environ.get(CACHE_ROOT) or _DEFAULT_CACHE_ROOT),
            upload_seconds=_seconds(UPLOAD_SECONDS, environ, cls.upload_seconds),
            wait_seconds=_seconds(WAIT_SECONDS, environ, cls.wait_seconds),
        )

    def usable_cache(self) -> Path:
        """Return the cache folder, made where it is missing.

        Raises:
            ConfigError: it cannot be made or written.
        """
        try:
            self.cache_root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"{self.cache_root} cannot be made: {error.strerror}; set {CACHE_ROOT} to a folder "
                "on a large local disk"
            ) from None
        if not os.access(self.cache_root, os.W_OK | os.X_OK):
            raise ConfigError(
                f"{self.cache_root} cannot be written; set {CACHE_ROOT} to a folder on a large "
                "local disk"
            )
        return self.cache_root


def _servers(rank: int, environ: Mapping[str, str]) -> int:
    """Machines of the rank table, in which this process must stand as its variables say."""
    name = environ.get("RANK_TABLE_FILE")
    if not name:
        return 1
    machines = _machines_of_groups(Path(name))
    if machines:
        return machines
    table = rank_table.read(Path(name))
    size = environ.get("RANK_SIZE")
    if size and size != str(table.rank_size):
        raise ConfigError(f"RANK_SIZE={size}, but {name} has {table.rank_size} ranks")
    if rank >= table.rank_size:
        raise ConfigError(f"RANK_ID={rank}, but {name} has the ranks 0 to {table.rank_size - 1}")
    card = environ.get("DEVICE_ID")
    expected = table.device(rank).device_id
    if card and card != str(expected):
        raise ConfigError(f"DEVICE_ID={card}, but rank {rank} has card {expected} in {name}")
    return len(table.servers)


def _machines_of_groups(path: Path) -> int:
    """Machines of a table in the platform's first form, by groups of pods; 0: it has another form.

    The platform's starter makes HCCL's form of it and points RANK_TABLE_FILE there; without the
    starter a job may see the first form, which has no ranks to compare.
    """
    try:
        groups = json.loads(path.read_bytes())["group_list"]
        return len({pod["server_id"] for group in groups for pod in group["instance_list"]})
    except (OSError, ValueError, KeyError, TypeError):
        return 0  # whatever is wrong, `rank_table.read` has the words for it


def _number(name: str, environ: Mapping[str, str]) -> int:
    text = environ[name]
    if not (text.isascii() and text.isdigit()):
        raise ConfigError(f"{name}={text}: expected a whole number from 0")
    return int(text)


def _seconds(name: str, environ: Mapping[str, str], default: float) -> float:
    text = environ.get(name)
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < 1e8:
        raise ConfigError(f"{name}={text}: expected a number of seconds above 0")
    return value
