"""Lines that stand more than once, found with bounded memory: hashes go to disk in buckets."""

import hashlib
import heapq
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

RECORD = np.dtype([("hash", "<u8", 2), ("file", "<u4"), ("line", "<u4")])
MAX_HELD = 1 << 18
_BUCKETS = 64
_BUCKET_SHIFT = np.uint64(58)


class RepeatFinder:
    """Collects a 128-bit hash of every line, then groups equal ones.

    Up to 262,144 lines are held in memory (6 MB); more go to files, of which one at a time is
    read back. Two lines are the same when they agree after runs of white space became one space.

    Args:
        folder: an empty folder for the files, the caller's to remove.
        examples: groups that are kept.
        first_evaluation_file: files from this number on are evaluation text.
    """

    def __init__(self, folder: Path, examples: int, first_evaluation_file: int) -> None:
        self._folder = folder
        self._examples = examples
        self._boundary = first_evaluation_file
        self._held: list[np.ndarray] = []
        self._number_held = 0
        self._spilled = False
        self.duplicate_lines = 0
        self.leaked_lines = 0
        self._duplicates: list[tuple[int, tuple[int, int], list[tuple[int, int]]]] = []
        self._leaks: list[tuple[int, int, int, int]] = []

    def add(self, file: int, numbers: list[int], texts: list[str]) -> None:
        """Take some lines of a file."""
        records = np.zeros(len(texts), RECORD)
        digests = b"".join(map(_digest, texts))
        records["hash"] = np.frombuffer(digests, "<u8").reshape(-1, 2)
        records["file"], records["line"] = file, numbers
        self._held.append(records)
        self._number_held += len(records)
        if self._number_held >= MAX_HELD:
            self._spill()

    def finish(self) -> None:
        """Find the groups; afterwards the counts and examples are there."""
        for records in self._buckets():
            self._group(records)

    def duplicates(self) -> list[tuple[int, list[tuple[int, int]]]]:
        """Return (times, first places) of the groups within one side, the largest first."""
        return [(times, places) for times, _, places in sorted(self._duplicates, reverse=True)]

    def leaks(self) -> list[tuple[tuple[int, int], tuple[int, int]]]:
        """Return (place in training text, place in evaluation text), in the latter's order."""
        return [((-d, -e), (-b, -c)) for b, c, d, e in sorted(self._leaks, reverse=True)]

    def _take(self) -> np.ndarray:
        records = np.concatenate([np.zeros(0, RECORD), *self._held])
        self._held, self._number_held = [], 0
        return records

    def _spill(self) -> None:
        records = self._take()
        bucket = records["hash"][:, 0] >> _BUCKET_SHIFT
        for number in range(_BUCKETS):
            with (self._folder / f"{number}.bin").open("ab") as file:
                file.write(records[bucket == number].tobytes())
        self._spilled = True

    def _buckets(self) -> Iterator[np.ndarray]:
        if not self._spilled:
            yield self._take()
            return
        self._spill()
        for number in range(_BUCKETS):
            yield np.fromfile(self._folder / f"{number}.bin", RECORD)

    def _group(self, records: np.ndarray) -> None:
        keys = (records["line"], records["file"], records["hash"][:, 1], records["hash"][:, 0])
        records = records[np.lexsort(keys)]
        if not len(records):
            return
        changes = (records["hash"][1:] != records["hash"][:-1]).any(axis=1)
        starts = np.flatnonzero(np.concatenate([[True], changes]))
        sizes = np.diff(np.append(starts, len(records)))
        in_evaluation = np.add.reduceat((records["file"] >= self._boundary).astype(int), starts)
        in_training = sizes - in_evaluation
        both = (in_training > 0) & (in_evaluation > 0)
        self.leaked_lines += int(in_evaluation[both].sum())
        for begin, trained in zip(starts[both].tolist(), in_training[both].tolist(), strict=True):
            self._keep_leak(records[begin], records[begin + trained])
        for offsets, counts in ((starts, in_training), (starts + in_training, in_evaluation)):
            repeated = counts > 1
            self.duplicate_lines += int((counts[repeated] - 1).sum())
            for begin, times in zip(
                offsets[repeated].tolist(), counts[repeated].tolist(), strict=True
            ):
                self._keep_duplicate(records[begin : begin + min(times, 3)], times)

    def _keep_leak(self, trained: Any, judged: Any) -> None:
        # Negative, so that the heap drops the last one in the order of the evaluation text.
        places = (*_place(judged), *_place(trained))
        entry = (-places[0], -places[1], -places[2], -places[3])
        _keep(self._leaks, entry, self._examples)

    def _keep_duplicate(self, records: np.ndarray, times: int) -> None:
        places = [_place(record) for record in records]
        first = (-places[0][0], -places[0][1])
        _keep(self._duplicates, (times, first, places), self._examples)


def _digest(text: str) -> bytes:
    key = " ".join(text.split()).encode("utf-8")
    return hashlib.blake2b(key, digest_size=16).digest()


def _place(record: Any) -> tuple[int, int]:
    return int(record["file"]), int(record["line"])


def _keep(heap: list[Any], entry: Any, limit: int) -> None:
    if len(heap) < limit:
        heapq.heappush(heap, entry)
    elif limit:
        heapq.heappushpop(heap, entry)
