"""Make the next batches in threads while the present one is used."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Generic, TypeVar

T = TypeVar("T")


class Prefetcher(Generic[T]):
    """Iterate over ``make(start), make(start + 1), ...`` in order, computed ahead of time.

    At most ``prefetch`` results are made or waiting. An exception of ``make`` is raised, with its
    traceback, when its turn comes, and ends the iteration.

    Args:
        make: called in a thread; calls run side by side, so it must not change shared state.
        start, stop: the range of numbers; ``stop`` None = endless.
        workers: threads.
        prefetch: results ahead of the reader, at least 1.
    """

    def __init__(
        self,
        make: Callable[[int], T],
        start: int = 0,
        stop: int | None = None,
        workers: int = 2,
        prefetch: int = 4,
    ) -> None:
        self._make = make
        self._next = start
        self._stop = stop
        self._pending: deque[Future[T]] = deque()
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="prefetch")
        self._closed = False
        for _ in range(prefetch):
            self._submit()

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        if not self._pending:
            self.close()
            raise StopIteration
        try:
            result = self._pending.popleft().result()
        except BaseException:
            self.close()
            raise
        self._submit()
        return result

    def __enter__(self) -> "Prefetcher[T]":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Drop what was made ahead and wait until the threads have ended; may be called again."""
        self._closed = True
        self._pending.clear()
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _submit(self) -> None:
        if not self._closed and (self._stop is None or self._next < self._stop):
            self._pending.append(self._threads.submit(self._make, self._next))
            self._next += 1
