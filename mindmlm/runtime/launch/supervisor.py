"""Watching the ranks of this machine until all have ended, or one makes an end of all."""

import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mindmlm.runtime.launch.hang import HangWatch, rank_list
from mindmlm.runtime.launch.link import Failure, Link
from mindmlm.runtime.launch.log_tail import error_lines
from mindmlm.runtime.launch.process import Ended, Process, signal_name
from mindmlm.runtime.launch.protocol import (
    BROKEN_CLUSTER_EXIT_CODE,
    HANG_EXIT_CODE,
    STOPPED_EXIT_CODES,
    USER_ERROR_EXIT_CODE,
)
from mindmlm.runtime.launch.screen import Screen
from mindmlm.runtime.launch.stop_signals import StopSignals

POLL_SECONDS = 0.1
_STACKS_SECONDS = 0.5


@dataclass(frozen=True)
class Limits:
    """Seconds of patience; see `HangWatch` for the first and the last.

    Args:
        hang: without a sign of life of any rank; 0 = no limit.
        stop: from a request to stop to the end of the last rank.
        stopped: that a rank may be stopped by SIGSTOP.
        scheduler: that the scheduler may wait for the ranks of other machines at the end.
    """

    hang: float = 1800.0
    stop: float = 300.0
    stopped: float = 5.0
    scheduler: float = 60.0


@dataclass(frozen=True)
class Outcome:
    """How the ranks of this machine ended.

    Args:
        code: the worst exit code; 0 if all is well.
        may_restart: whether it failed in a way that need not come again.
        orderly: whether every rank came to its own end, be it because it was asked to.
    """

    code: int
    may_restart: bool = False
    orderly: bool = False


class Supervisor:
    """One attempt at a job; `run` returns when no process of it is left.

    Args:
        ranks: rank to process.
        scheduler: MindSpore's, when it runs here.
        whole_job: whether all ranks of the job run here.
        link: to the launchers of the other machines.
        attempt: number of this attempt, from 0.
        stop_file: made before a request to stop is sent on; see `protocol`.
    """

    def __init__(
        self,
        ranks: Mapping[int, Process],
        scheduler: Process | None,
        whole_job: bool,
        watch: HangWatch,
        limits: Limits,
        link: Link,
        attempt: int,
        stop_file: Path,
        signals: StopSignals,
        screen: Screen,
    ) -> None:
        self._ranks = ranks
        self._scheduler = scheduler
        self._whole_job = whole_job
        self._watch = watch
        self._limits = limits
        self._link = link
        self._attempt = attempt
        self._stop_file = stop_file
        self._signals = signals
        self._screen = screen
        self._ended: dict[int, Ended] = {}
        self._stop_by: float | None = None

    def run(self) -> Outcome:
        """Wait for the end; afterwards every process is gone."""
        try:
            outcome = None
            while outcome is None:
                self._screen.forward()
                self._collect()
                outcome = self._judge()
                if outcome is None:
                    time.sleep(POLL_SECONDS)
            return outcome
        finally:
            self.end_all()
            self._screen.finish()

    def end_all(self) -> None:
        """Kill what is left and wait until it is gone."""
        processes = [*self._ranks.values(), *([self._scheduler] if self._scheduler else [])]
        for process in processes:
            process.kill_group()
        for process in processes:
            process.finish()

    @property
    def _running(self) -> list[int]:
        return [rank for rank in self._ranks if rank not in self._ended]

    def _collect(self) -> None:
        for rank in self._running:
            ended = self._ranks[rank].ended()
            if ended is not None:
                self._ended[rank] = ended

    def _judge(self) -> Outcome | None:
        """The outcome when the end has come, else None; sends requests to stop on the way."""
        if self._signals.forced:
            return self._forced()
        if self._failed():
            return self._failure()
        if self._scheduler_failed() and self._running:
            return self._scheduler_failure()
        elsewhere = self._link.failure(self._attempt)
        if elsewhere is not None and self._running:
            return self._failure_elsewhere(elsewhere)
        self._pass_stop_on()
        if not self._running:
            return self._finished()
        now = time.monotonic()
        if self._stop_by is not None and now > self._stop_by:
            return self._too_late()
        hang = self._watch.problem(now, self._running)
        return self._hang(*hang) if hang else None

    def _failed(self) -> dict[int, Ended]:
        return {rank: ended for rank, ended in self._ended.items() if not self._is_orderly(ended)}

    def _is_orderly(self, ended: Ended) -> bool:
        if ended.code in STOPPED_EXIT_CODES:
            # Killed by the signal itself: it came before the rank could take it over.
            return ended.signal is None or self._stop_file.exists()
        return ended.code == 0

    def _pass_stop_on(self) -> None:
        """Announce a request of the user's and send it to every rank.

        A rank that was stopped from elsewhere (another machine) makes us patient with the others:
        they save a checkpoint together.
        """
        if self._stop_by is not None:
            return
        stopped = [ended.code for ended in self._ended.values() if ended.code]
        if self._signals.received:
            number = self._signals.received[0]
            self._screen.say(
                f"{signal_name(number)}: asking {rank_list(self._running)} to save and stop; a "
                "second signal kills at once"
            )
            self._stop_file.touch()
            for rank in self._running:
                forwarded = signal.SIGTERM if number == signal.SIGHUP else number
                self._ranks[rank].send(forwarded)
        if self._signals.received or stopped:
            self._stop_by = time.monotonic() + self._limits.stop

    def _finished(self) -> Outcome:
        if not self._whole_job:
            self._wait_for_scheduler()
        if self._signals.received:
            return Outcome(128 + self._signals.received[0], orderly=True)
        return Outcome(max((ended.code for ended in self._ended.values()), default=0), orderly=True)

    def _wait_for_scheduler(self) -> None:
        """Leave the scheduler to the ranks of other machines, until they too have signed off."""
        deadline = time.monotonic() + self._limits.scheduler
        while self._scheduler is not None and self._scheduler.ended() is None:
            if time.monotonic() > deadline or self._signals.forced:
                return
            self._link.poll()
            time.sleep(POLL_SECONDS)

    def _forced(self) -> Outcome:
        text = "second signal: killing all ranks without saving"
        self._screen.say(text)
        return self._told(text, Outcome(128 + self._signals.received[-1]))

    def _failure(self) -> Outcome:
        # Ranks that fail together are reported together.
        time.sleep(POLL_SECONDS)
        self._screen.forward()
        self._collect()
        failed = self._failed()
        if self._watch.stopped(self._running) and _are_consequences(failed):
            stopped = self._watch.stopped(self._running)
            self._screen.say(f"{rank_list(stopped)} stopped (SIGSTOP); the others waited in vain")
        texts = []
        for rank, ended in failed.items():
            self._report(self._ranks[rank], str(ended) + _meaning(ended))
            texts.append(f"rank {rank}: {ended}")
        if self._scheduler is not None and self._scheduler_failed():
            self._report(self._scheduler, str(self._scheduler.ended()))
        self._say_who_is_killed()
        codes = [ended.code for ended in failed.values()]
        outcome = Outcome(max(codes), may_restart=USER_ERROR_EXIT_CODE not in codes)
        return self._told("; ".join(texts), outcome)

    def _failure_elsewhere(self, failure: Failure) -> Outcome:
        self._screen.say(f"on another machine: {failure.text}")
        self._say_who_is_killed()
        return Outcome(failure.code, may_restart=failure.may_restart)

    def _told(self, text: str, outcome: Outcome) -> Outcome:
        """The outcome, after telling the other machines of it."""
        self._link.report(Failure(text, outcome.code, outcome.may_restart, self._attempt))
        return outcome

    def _scheduler_failed(self) -> bool:
        ended = self._scheduler.ended() if self._scheduler is not None else None
        return ended is not None and ended.code != 0

    def _scheduler_failure(self) -> Outcome:
        assert self._scheduler is not None
        ended = self._scheduler.ended()
        assert ended is not None
        stopped = self._watch.stopped(self._running)
        if stopped:
            self._screen.say(f"{rank_list(stopped)} stopped (SIGSTOP)")
        self._report(self._scheduler, str(ended))
        self._say_who_is_killed()
        return self._told(f"the scheduler: {ended}", Outcome(ended.code, may_restart=True))

    def _hang(self, problem: str, to_blame: list[int]) -> Outcome:
        self._screen.say(problem)
        for rank in self._running:
            # Ranks of mindmlm write the stacks of their threads to their log.
            self._ranks[rank].send(signal.SIGUSR1)
        time.sleep(_STACKS_SECONDS)
        for rank in to_blame:
            self._report(self._ranks[rank], "does not go on")
        self._say_who_is_killed()
        return self._told(problem, Outcome(HANG_EXIT_CODE, may_restart=True))

    def _too_late(self) -> Outcome:
        who = rank_list(self._running)
        text = f"{who} did not stop within {self._limits.stop:g} s and will be killed"
        self._screen.say(text)
        return self._told(text, Outcome(HANG_EXIT_CODE))

    def _say_who_is_killed(self) -> None:
        if self._running:
            self._screen.say(f"killing {rank_list(self._running)}")

    def _report(self, process: Process, what: str) -> None:
        seconds = time.monotonic() - process.started
        lines = error_lines(process.stderr) or error_lines(process.stdout)
        text = f"{process.name}: {what} after {seconds:.1f} s; log: {process.stderr}"
        self._screen.say("\n    ".join([text, *lines]))


def _are_consequences(failed: Mapping[int, Ended]) -> bool:
    return all(_meaning(ended) for ended in failed.values())


def _meaning(ended: Ended) -> str:
    """What an end means that MindSpore brought about itself."""
    if ended.code == BROKEN_CLUSTER_EXIT_CODE or ended.signal == signal.SIGTERM:
        return " (MindSpore's cluster broke: another rank or the scheduler has gone)"
    return ""
