"""A whole job of this machine: its log folder, its processes, its restarts."""

import os
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mindmlm.errors import ConfigError
from mindmlm.runtime.launch.guard import Guard
from mindmlm.runtime.launch.hang import HangWatch, rank_list
from mindmlm.runtime.launch.link import Link, make_link
from mindmlm.runtime.launch.plan import SCHEDULER_PORT_VARIABLE, Plan
from mindmlm.runtime.launch.process import Process, adopt_orphans
from mindmlm.runtime.launch.protocol import HEARTBEAT_VARIABLE, STOP_FILE_VARIABLE
from mindmlm.runtime.launch.screen import Screen
from mindmlm.runtime.launch.stop_signals import StopSignals
from mindmlm.runtime.launch.supervisor import Limits, Outcome, Supervisor

SCHEDULER_PROGRAM = "import mindspore; mindspore.set_device('CPU'); mindspore.communication.init()"


@dataclass(frozen=True)
class Job:
    """What to run.

    Args:
        plan: ranks, table and scheduler.
        command: program and arguments of a rank, for the attempt of that number, from 0.
        log_dir: a new folder of this launch, which exists.
        limits: patience.
        max_restarts: how often a job that fails is started again.
        new_port: whether each attempt may take any free port for the scheduler.
        environment: what the processes inherit.
    """

    plan: Plan
    command: Callable[[int], Sequence[str]]
    log_dir: Path
    limits: Limits
    max_restarts: int = 0
    new_port: bool = False
    environment: Mapping[str, str] | None = None


def new_log_dir(parent: Path, ranks: Sequence[int]) -> Path:
    """Make a folder that no launch had before; the old ones stay.

    Raises:
        ConfigError: it cannot be made.
    """
    now = time.strftime("%Y%m%d_%H%M%S")
    name = f"{now}_{rank_list(ranks).replace(', ', '_').replace(' ', '_')}"
    for number in range(1, 1000):
        path = parent / (name if number == 1 else f"{name}_{number}")
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise ConfigError(f"{path}: cannot be made: {error.strerror}") from None
        return path
    raise ConfigError(f"{parent}: too many launches in one second")


def run(job: Job) -> int:
    """Run the job to its end, restarts included, and return the exit code.

    Nothing that was started is left behind, not even when this process is killed.

    Raises:
        ConfigError: the port of the scheduler is taken; the launcher of rank 0 has another table.
    """
    adopt_orphans()
    with StopSignals() as signals:
        guard = Guard()
        outcome = Outcome(1)
        try:
            link = make_link(job.plan, Screen(job.log_dir).say)
            try:
                outcome = _attempts(job, guard, link, signals)
            finally:
                link.end(outcome.code, outcome.orderly)
        finally:
            guard.release()
        return outcome.code


def _attempts(job: Job, guard: Guard, link: Link, signals: StopSignals) -> Outcome:
    attempt = 0
    while True:
        outcome = _attempt(job, attempt, guard, link, signals)
        wanted = outcome.may_restart and not signals.received
        if not wanted or attempt == job.max_restarts:
            return outcome
        attempt += 1
        Screen(job.log_dir).say(f"restart {attempt} of {job.max_restarts}")


def _attempt(job: Job, attempt: int, guard: Guard, link: Link, signals: StopSignals) -> Outcome:
    plan = _with_port(job, attempt)
    folder = job.log_dir
    if attempt:
        folder = folder / f"restart_{attempt}"
        folder.mkdir()
    screen = Screen(job.log_dir)
    screen.say(_announcement(plan, folder))
    command = list(job.command(attempt))
    starter = _Starter(plan, folder, job.environment or os.environ, guard)
    try:
        scheduler = starter.scheduler() if plan.starts_scheduler else None
        for rank in plan.ranks:
            starter.rank(rank, command)
    except BaseException:
        starter.end_all()
        raise
    if 0 in starter.ranks:
        screen.follow(starter.ranks[0].stdout, starter.ranks[0].stderr)
    watch = HangWatch(
        starter.ranks,
        {rank: starter.heartbeat(rank) for rank in plan.ranks},
        job.limits.hang,
        job.limits.stopped,
    )
    return Supervisor(
        starter.ranks,
        scheduler,
        plan.whole_job,
        watch,
        job.limits,
        link,
        attempt,
        starter.stop_file,
        signals,
        screen,
    ).run()


class _Starter:
    """Starts the processes of one attempt, each with its files in the attempt's folder."""

    def __init__(
        self, plan: Plan, folder: Path, inherited: Mapping[str, str], guard: Guard
    ) -> None:
        self._plan = plan
        self._folder = folder
        self._inherited = inherited
        self._guard = guard
        self._all: list[Process] = []
        self.ranks: dict[int, Process] = {}
        self.stop_file = folder / "stop"

    def heartbeat(self, rank: int) -> Path:
        """The file of a rank's signs of life."""
        return self._folder / f"heartbeat_{rank}"

    def scheduler(self) -> Process:
        environment = {"GLOG_v": "2", **self._plan.scheduler_environment(self._inherited)}
        log = self._folder / "scheduler.log"
        command = [sys.executable, "-c", SCHEDULER_PROGRAM]
        return self._start("the scheduler", command, environment, log, log)

    def rank(self, rank: int, command: Sequence[str]) -> None:
        environment = self._plan.worker_environment(rank, self._inherited)
        environment[STOP_FILE_VARIABLE] = str(self.stop_file)
        environment[HEARTBEAT_VARIABLE] = str(self.heartbeat(rank))
        self.ranks[rank] = self._start(
            f"rank {rank}",
            command,
            environment,
            self._folder / f"rank_{rank}.out",
            self._folder / f"rank_{rank}.log",
        )

    def _start(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        stdout: Path,
        stderr: Path,
    ) -> Process:
        process = Process(name, command, environment, stdout, stderr)
        self._guard.watch(process.pid)
        self._all.append(process)
        return process

    def end_all(self) -> None:
        for process in self._all:
            process.finish()


def _with_port(job: Job, attempt: int) -> Plan:
    """The plan with the scheduler's port of this attempt.

    Machines count their attempts alike, so the port of an attempt is the same on all, and a rank
    that is left from the attempt before cannot register with the new scheduler.
    """
    if not job.plan.on_cpu:
        return job.plan
    if job.new_port:
        return replace(job.plan, scheduler_port=_free_port(job.plan.scheduler_host))
    plan = replace(job.plan, scheduler_port=job.plan.scheduler_port + attempt)
    if plan.starts_scheduler:
        _check_port(plan.scheduler_host, plan.scheduler_port)
    return plan


def _free_port(host: str) -> int:
    with socket.create_server((host, 0)) as server:
        return int(server.getsockname()[1])


def _check_port(host: str, port: int) -> None:
    try:
        socket.create_server((host, port)).close()
    except OSError as error:
        raise ConfigError(
            f"{SCHEDULER_PORT_VARIABLE}: MindSpore's scheduler cannot listen at {host}:{port}: "
            f"{error.strerror}; end the job that uses it or set {SCHEDULER_PORT_VARIABLE} to a "
            "free port, the same for all machines of the job"
        ) from None


def _announcement(plan: Plan, folder: Path) -> str:
    size = plan.table.rank_size
    if plan.on_cpu:
        where = f"processes on this machine, scheduler {plan.scheduler_host}:{plan.scheduler_port}"
    else:
        where = f"cards of {plan.table.server(plan.ranks[0]).server_id}"
    return f"{rank_list(plan.ranks)} of {size} ({where}); logs: {folder}"
