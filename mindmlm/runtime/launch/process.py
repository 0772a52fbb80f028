"""One process of a job: started in a session of its own, looked at, killed with its descendants."""

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_REAP_SECONDS = 5.0

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Ended:
    """How a process ended.

    Args:
        code: its exit code, or 128 + the signal that killed it.
        signal: the signal that killed it; None when it exited by itself.
    """

    code: int
    signal: int | None = None

    def __str__(self) -> str:
        if self.signal is None:
            return f"exit code {self.code}"
        return f"killed by {signal_name(self.signal)} (signal {self.signal})"


def signal_name(number: int) -> str:
    """SIGKILL for 9; the number for one without a name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


class Process:
    """A running program with its log files; it dies when its launcher does.

    Args:
        name: for messages: "rank 3", "the scheduler".
        command: program and arguments.
        environment: all of it.
        stdout, stderr: files that are made and appended to; they may be the same.

    Raises:
        OSError: the program cannot be started.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        stdout: Path,
        stderr: Path,
    ) -> None:
        self.name = name
        self.stdout = stdout
        self.stderr = stderr
        self.started = time.monotonic()
        launcher = os.getpid()
        with stdout.open("ab") as out, stderr.open("ab") as err:
            self._popen = subprocess.Popen(
                list(command),
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
                preexec_fn=lambda: _die_with(launcher),
            )

    @property
    def pid(self) -> int:
        """Process id, also that of its session and group."""
        return self._popen.pid

    def ended(self) -> Ended | None:
        """How it ended; None while it runs.

        It stays a zombie until `finish`, so that its number cannot pass to a stranger before its
        group is killed.
        """
        if self._popen.returncode is None:
            found = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if found is None:
                return None
            killed = found.si_code in (os.CLD_KILLED, os.CLD_DUMPED)
            status = found.si_status
            return Ended(128 + status, status) if killed else Ended(status)
        code = self._popen.returncode
        return Ended(128 - code, -code) if code < 0 else Ended(code)

    def is_stopped(self) -> bool:
        """Whether it was stopped by SIGSTOP and the like; a debugger's stop does not count."""
        try:
            status = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return False
        return status.rpartition(")")[2].split()[0] == "T"

    def send(self, number: int) -> None:
        """Send a signal to the process alone, not to its children."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def kill_group(self) -> None:
        """SIGKILL to the process, if it still runs, and to all its descendants in the group."""
        if self._popen.returncode is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)

    def finish(self) -> None:
        """Kill what is left and wait until it is gone."""
        self.kill_group()
        with suppress(subprocess.TimeoutExpired):
            self._popen.wait(_REAP_SECONDS)
        _reap_group(self.pid)


def _die_with(launcher: int) -> None:
    """In the new process: be killed when the launcher dies, also when it just has."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != launcher:
        os._exit(128 + signal.SIGKILL)


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent dies, to be able to wait for them."""
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _reap_group(group: int) -> None:
    """Wait for the killed descendants of a group; they are our children after `adopt_orphans`."""
    deadline = time.monotonic() + _REAP_SECONDS
    while time.monotonic() < deadline:
        with suppress(ChildProcessError):
            while os.waitpid(-group, os.WNOHANG)[0]:
                pass
        try:
            os.killpg(group, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            return
        time.sleep(0.01)
