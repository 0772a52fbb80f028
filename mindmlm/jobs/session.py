"""What every job begins with: the device, the other processes, the output folder, the log."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from mindmlm import build
from mindmlm.config import LoadedConfig
from mindmlm.config.schema import RunConfig
from mindmlm.errors import MindmlmError
from mindmlm.jobs.replicas import check_configs
from mindmlm.models.graph_cache import keep_graphs
from mindmlm.parallel.agreement import Agreement
from mindmlm.parallel.collectives import create_groups
from mindmlm.parallel.place import Place
from mindmlm.runtime.context import Device, initialise
from mindmlm.runtime.logging import setup_logging
from mindmlm.runtime.run_folder import RunFolder
from mindmlm.runtime.world import device_number, join_world


@dataclass(frozen=True)
class Session:
    """A process that has met the others.

    Args:
        config: of the run.
        folder: `output_dir`.
        agreement: with the other processes.
    """

    config: RunConfig
    folder: RunFolder
    agreement: Agreement

    @property
    def place(self) -> Place:
        """This process in the grid."""
        return self.agreement.place

    @contextmanager
    def main_first(self) -> Iterator[None]:
        """Let rank 0 go through the block first, the others afterwards, side by side.

        They wait at a file lock, which has no time-out and ends with the process that holds it;
        waiting in a collective would end the job after ten minutes.
        """
        if self.place.world.size == 1:
            yield
            return
        descriptor = os.open(self.folder.root / ".main_first", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            if self.place.is_main:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            self.agreement.texts("")
            if not self.place.is_main:
                fcntl.flock(descriptor, fcntl.LOCK_SH)
            yield
        finally:
            os.close(descriptor)


def start_device(loaded: LoadedConfig) -> Device:
    """Choose the device and check that it can do what the configuration asks for.

    Raises:
        ConfigError: it is not there, or it cannot.
    """
    context = loaded.config.context
    card = device_number(context.device_id, loaded.config.use_parallel)
    device = initialise(context.device_target, card, context.mode, context.max_device_memory)
    loaded.require_device(device.target)
    if context.enable_compile_cache:
        return _keep_graphs(device, loaded)
    return device


def _keep_graphs(device: Device, loaded: LoadedConfig) -> Device:
    """The device, with a note where graphs cannot be kept."""
    config = loaded.config
    note: str | None
    if device.target != "CPU" or config.use_parallel or config.context.mode != 0:
        note = (
            "context.enable_compile_cache has no effect: graphs are kept in one process on a CPU "
            "in mode 0"
        )
    else:
        note = keep_graphs()
    return replace(device, notes=(*device.notes, note)) if note else device


def meet(loaded: LoadedConfig) -> tuple[Device, Session]:
    """Start the device and meet the other processes.

    Raises:
        ConfigError: the device or the number of processes does not fit the configuration.
        RanksDifferError: a process has another configuration than rank 0.
    """
    config = loaded.config
    device = start_device(loaded)
    place = build.place_of(config, join_world(config.use_parallel))
    create_groups(place.layout, place.rank)
    session = Session(config, RunFolder(Path(config.output_dir)), Agreement(place))
    check_configs(config, session.agreement)
    return device, session


@contextmanager
def open_session(loaded: LoadedConfig) -> Iterator[Session]:
    """Meet the other processes, lock the output folder and begin the log.

    Raises:
        ConfigError: see `meet`, or another run writes to the folder.
        RanksDifferError: see `meet`.
    """
    device, session = meet(loaded)
    with _locked_by_main(session):
        setup_logging(session.folder.root, session.place.rank)
        device.log()
        yield session


@contextmanager
def _locked_by_main(session: Session) -> Iterator[None]:
    if not session.place.is_main:
        session.agreement.raise_together(None)
        yield
        return
    lock = session.folder.locked()
    error = None
    try:
        lock.__enter__()
    except MindmlmError as caught:
        error = caught
    session.agreement.raise_together(error)
    try:
        yield
    finally:
        lock.__exit__(None, None, None)
