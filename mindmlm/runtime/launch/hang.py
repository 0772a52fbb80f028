"""Ranks that run and do nothing any more: who waits, and for whom."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from mindmlm.runtime.launch.heartbeat import Beat, read_beat
from mindmlm.runtime.launch.process import Process


def rank_list(ranks: Iterable[int]) -> str:
    """Ranks in words: "rank 3", "ranks 0, 1", "ranks 0 to 5, 7"."""
    ordered = sorted(ranks)
    parts: list[list[int]] = []
    for rank in ordered:
        if parts and rank == parts[-1][-1] + 1:
            parts[-1].append(rank)
        else:
            parts.append([rank])
    words = [
        f"{part[0]} to {part[-1]}" if len(part) > 2 else ", ".join(map(str, part)) for part in parts
    ]
    return f"rank{'s' if len(ordered) > 1 else ''} {', '.join(words)}"


class HangWatch:
    """Looks at the ranks of this machine from time to time.

    Args:
        processes: rank to process.
        heartbeats: rank to the file of its signs of life.
        hang_timeout: seconds without any sign of life of any rank, once all have given one; 0 = do
            not look.
        stopped_timeout: seconds that a rank may be stopped (SIGSTOP).
    """

    def __init__(
        self,
        processes: Mapping[int, Process],
        heartbeats: Mapping[int, Path],
        hang_timeout: float,
        stopped_timeout: float,
    ) -> None:
        self._processes = processes
        self._heartbeats = heartbeats
        self._hang_timeout = hang_timeout
        self._stopped_timeout = stopped_timeout
        self._stopped_since: dict[int, float] = {}
        self._beats: dict[int, Beat | None] = {}
        self._changed = 0.0

    def problem(self, now: float, running: Iterable[int]) -> tuple[str, list[int]] | None:
        """What is wrong, naming the ranks, and those to blame; None when all is well.

        Args:
            now: seconds of a clock that never goes back.
            running: the ranks that have not ended.
        """
        ranks = sorted(running)
        return self._stopped(now, ranks) or self._silent(now, ranks)

    def stopped(self, running: Iterable[int]) -> list[int]:
        """The ranks that are stopped at this moment."""
        return [rank for rank in running if self._processes[rank].is_stopped()]

    def _stopped(self, now: float, ranks: list[int]) -> tuple[str, list[int]] | None:
        stopped = self.stopped(ranks)
        self._stopped_since = {rank: self._stopped_since.get(rank, now) for rank in stopped}
        if not any(now - at >= self._stopped_timeout for at in self._stopped_since.values()):
            return None
        waiting = [rank for rank in ranks if rank not in stopped]
        text = f"{rank_list(stopped)} stopped (SIGSTOP) for {self._stopped_timeout:g} s"
        return text + (f"; waiting: {rank_list(waiting)}" if waiting else ""), stopped

    def _silent(self, now: float, ranks: list[int]) -> tuple[str, list[int]] | None:
        beats = {rank: read_beat(self._heartbeats[rank]) for rank in ranks}
        if beats != self._beats:
            self._beats, self._changed = beats, now
        if not self._hang_timeout or now - self._changed < self._hang_timeout:
            return None
        known = {rank: beat for rank, beat in beats.items() if beat is not None}
        if not ranks or len(known) < len(ranks):
            return None
        return self._who_waits(known)

    def _who_waits(self, beats: Mapping[int, Beat]) -> tuple[str, list[int]]:
        furthest = max(beat.count for beat in beats.values())
        waiting = [rank for rank, beat in beats.items() if beat.count == furthest]
        behind = {rank: beat for rank, beat in beats.items() if beat.count < furthest}
        text = (
            f"no rank has gone on for {self._hang_timeout:g} s; waiting: {rank_list(waiting)} "
            f"({beats[waiting[0]].place})"
        )
        for rank, beat in behind.items():
            text += f"; rank {rank} has not come so far ({beat.place})"
        return text, list(behind) or waiting
