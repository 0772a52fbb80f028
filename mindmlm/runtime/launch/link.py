"""Launchers of one job on several machines tell each other when one of them fails.

Without this, a machine learns of a failure elsewhere from time-outs of MindSpore or HCCL, after ten
seconds to half an hour. The launcher of rank 0 listens on the first server; the others connect to
it. Each message is one line of JSON. A launcher that does not answer is no failure: the job then
goes on with the time-outs alone.
"""

import hashlib
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from mindmlm.errors import ConfigError
from mindmlm.runtime.launch.connection import Connection
from mindmlm.runtime.launch.hang import rank_list
from mindmlm.runtime.launch.plan import Plan
from mindmlm.runtime.launch.protocol import BROKEN_CLUSTER_EXIT_CODE

# Added to the scheduler's port; restarts use the ports in between.
PORT_OFFSET = 100
_RETRY_SECONDS = 0.25
_PATIENCE_SECONDS = 30.0
_LAST_WORD_SECONDS = 3.0


@dataclass(frozen=True)
class Failure:
    """What ended the ranks of a machine.

    Args:
        text: for people, with the ranks and the cause.
        code: exit code.
        may_restart: whether it need not come again.
        attempt: number of the attempt that it ended; None = this and all later ones.
    """

    text: str
    code: int
    may_restart: bool
    attempt: int | None


class Link:
    """The other launchers of this job; this class is that of a job without others."""

    def __init__(self) -> None:
        self._failures: list[Failure] = []

    def poll(self) -> None:
        """Take what has come."""

    def tell(self, message: dict[str, Any]) -> None:
        """Send a message to all others."""

    def failure(self, attempt: int) -> Failure | None:
        """What has ended this attempt on another machine, if anything has."""
        self.poll()
        found = [one for one in self._failures if one.attempt in (None, attempt)]
        return found[0] if found else None

    def report(self, failure: Failure) -> None:
        """Tell the others of a failure here."""
        self.tell({"failed": asdict(failure)})

    def end(self, code: int, orderly: bool) -> None:
        """Tell the others that this launcher ends, and how."""
        self.tell({"ended": code, "orderly": orderly})

    def _take(self, message: dict[str, Any], ranks: Sequence[int]) -> Failure | None:
        """Remember a failure that a message tells of."""
        try:
            if "failed" in message:
                told = message["failed"]
                attempt = None if told["attempt"] is None else int(told["attempt"])
                restart = bool(told["may_restart"])
                failure = Failure(str(told["text"]), int(told["code"]), restart, attempt)
            elif not message.get("orderly", True):
                text = f"the launcher of {rank_list(ranks)} ended with exit code {message['ended']}"
                failure = Failure(text, int(message["ended"]), False, None)
            else:
                return None
        except (TypeError, ValueError, KeyError):
            return None
        self._failures.append(failure)
        return failure

    def _gone(self, ranks: Sequence[int]) -> Failure:
        text = f"the launcher of {rank_list(ranks)} has gone"
        self._failures.append(Failure(text, BROKEN_CLUSTER_EXIT_CODE, True, None))
        return self._failures[-1]


class Hub(Link):
    """The launcher of rank 0: knows all others, and passes on what one of them tells.

    Raises:
        OSError: it cannot listen.
    """

    def __init__(self, plan: Plan, say: Callable[[str], None]) -> None:
        super().__init__()
        self._plan = plan
        self._say = say
        self._digest = _digest(plan)
        self._missing = set(range(plan.table.rank_size)) - set(plan.ranks)
        self._next_word = time.monotonic() + _PATIENCE_SECONDS
        self._server = socket.create_server(
            (plan.scheduler_host, plan.scheduler_port + PORT_OFFSET)
        )
        self._server.setblocking(False)
        self._members: list[Connection] = []
        self._reported: list[Failure] = []

    def poll(self) -> None:
        """See `Link`."""
        self._accept()
        for member in self._members:
            for message in member.receive():
                self._hear(member, message)
            if member.closed and member.ranks is not None:
                self.report(self._gone(member.ranks))
        self._members = [member for member in self._members if not member.closed]
        if self._missing and time.monotonic() > self._next_word:
            self._say(f"waiting for the launchers of {rank_list(self._missing)}")
            self._next_word = time.monotonic() + _PATIENCE_SECONDS

    def _accept(self) -> None:
        with suppress(BlockingIOError):
            while True:
                self._members.append(Connection(self._server.accept()[0]))

    def _hear(self, member: Connection, message: dict[str, Any]) -> None:
        if member.ranks is None:
            self._welcome(member, message)
            return
        failure = self._take(message, member.ranks)
        if failure is not None:
            self.report(failure)
        if "ended" in message:
            member.ranks = None
            member.close()

    def _welcome(self, member: Connection, message: dict[str, Any]) -> None:
        if message.get("table") != self._digest:
            member.send({"refused": "its rank table is another one; all machines need the same"})
            member.close()
            return
        ranks = message.get("ranks")
        numbers = ranks if isinstance(ranks, list) else []
        known = all(type(number) is int and number in self._missing for number in numbers)
        if not numbers or not known:
            member.send({"refused": "its ranks are started twice; see DEVICE_RANGE"})
            member.close()
            return
        member.ranks = tuple(numbers)
        self._missing -= set(numbers)
        for failure in self._reported:
            member.send({"failed": asdict(failure)})
        if not self._missing:
            self._say("the launchers of all machines are connected")

    def tell(self, message: dict[str, Any]) -> None:
        """See `Link`."""
        for member in self._members:
            if member.ranks is not None and not member.closed:
                member.send(message)

    def report(self, failure: Failure) -> None:
        """See `Link`; launchers that connect later learn of it too."""
        self._reported.append(failure)
        super().report(failure)

    def end(self, code: int, orderly: bool) -> None:
        """See `Link`; after a failure, launchers that are about to connect are waited for."""
        deadline = time.monotonic() + (0.0 if orderly else _LAST_WORD_SECONDS)
        self.poll()
        while self._missing and time.monotonic() < deadline:
            time.sleep(_RETRY_SECONDS / 10)
            self.poll()
        super().end(code, orderly)
        for member in self._members:
            member.close()
        self._server.close()


class Member(Link):
    """The launcher of another machine: talks to the one of rank 0."""

    def __init__(self, plan: Plan, say: Callable[[str], None]) -> None:
        super().__init__()
        self._plan = plan
        self._say = say
        self._address = _address(plan)
        self._hub: Connection | None = None
        self._next_try = 0.0
        self._next_word = time.monotonic() + _PATIENCE_SECONDS
        self._over = False

    def poll(self) -> None:
        """See `Link`."""
        if self._over:
            return
        if self._hub is None:
            self._connect()
            return
        for message in self._hub.receive():
            if "refused" in message:
                raise ConfigError(
                    f"the launcher of rank 0 at {self._plan.scheduler_host} refuses this machine: "
                    f"{message['refused']}"
                )
            self._take(message, (0,))
            self._over = self._over or "ended" in message
        if self._hub.closed and not self._over:
            self._over = True
            self._gone((0,))

    def _connect(self) -> None:
        now = time.monotonic()
        if now < self._next_try:
            return
        self._next_try = now + _RETRY_SECONDS
        try:
            sock = socket.create_connection(self._address, timeout=_RETRY_SECONDS)
        except OSError as error:
            if now > self._next_word:
                host, port = self._address
                self._say(f"the launcher of rank 0 does not answer at {host}:{port}: {error}")
                self._next_word = now + _PATIENCE_SECONDS * 10
                # Waiting for an answer delays the look at our own ranks.
                self._next_try = now + _RETRY_SECONDS * 20
            return
        self._hub = Connection(sock)
        self._hub.send({"table": _digest(self._plan), "ranks": list(self._plan.ranks)})

    def tell(self, message: dict[str, Any]) -> None:
        """See `Link`; what happens before the connection stands is not lost either."""
        deadline = time.monotonic() + _LAST_WORD_SECONDS
        while self._hub is None and time.monotonic() < deadline:
            self._next_try = 0.0
            self._connect()
            time.sleep(_RETRY_SECONDS / 10)
        if self._hub is not None and not self._hub.closed:
            self._hub.send(message)

    def end(self, code: int, orderly: bool) -> None:
        """See `Link`."""
        super().end(code, orderly)
        if self._hub is not None:
            self._hub.close()


def make_link(plan: Plan, say: Callable[[str], None]) -> Link:
    """The link of this machine; an idle one without others, or when it cannot listen."""
    if plan.whole_job:
        return Link()
    if 0 not in plan.ranks:
        return Member(plan, say)
    try:
        return Hub(plan, say)
    except OSError as error:
        host, port = _address(plan)
        say(
            f"cannot listen at {host}:{port} ({error.strerror}): failures on other machines will "
            "be noticed by time-outs only"
        )
        return Link()


def _address(plan: Plan) -> tuple[str, int]:
    return plan.scheduler_host, plan.scheduler_port + PORT_OFFSET


def _digest(plan: Plan) -> str:
    return hashlib.sha256(plan.table.to_json().encode()).hexdigest()
