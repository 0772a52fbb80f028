"""Stopping on request: Ctrl-C or SIGTERM ends a run after its step, with a checkpoint.

Before the first step, and in modes that have nothing to save, they end the process at once.

MindSpore installs signal handlers of its own while a graph runs and turns SIGINT into SIGTERM, and
Python runs a handler only when the main thread is back from the graph. So the signals are blocked
in every thread and one thread waits for them.

Under a launcher (`runtime/launch/protocol.py`) a SIGTERM is a request only when the launcher has
announced it: MindSpore sends SIGTERM to its own process when its cluster breaks, and then there is
nobody left to save a checkpoint with.
"""

import os
import signal
import sys
import threading
from collections.abc import Collection
from types import FrameType
from typing import Any

from mindmlm.runtime.launch.protocol import BROKEN_CLUSTER_EXIT_CODE, stop_file

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """Context that takes SIGINT and SIGTERM.

    While `graceful` is set, the first signal asks for a stop and the second one forces it; else
    the first one ends the process at once with 128 + its number. Under a launcher, a SIGTERM that
    was not announced ends the process at once with BROKEN_CLUSTER_EXIT_CODE.

    Enter it in the main thread before numpy and MindSpore are imported: a thread inherits the
    blocked signals from the one that starts it, and numpy starts threads. An older thread still
    catches signals. Python's handler, installed as well, then makes the request when the main
    thread is back from the graph, and a Ctrl-C may count as the SIGTERM that MindSpore makes of it.

    Child processes inherit the blocked signals too, also through exec: a pool of workers has to
    unblock them in its initializer (``signal.pthread_sigmask``), or SIGTERM cannot end it.

    Attributes:
        signal: number of the signal that asked for the stop; None as long as none did.
        graceful: whether a stop waits for the end of the step; the training loop sets it.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self.graceful = False
        self._lock = threading.RLock()
        self._closing = False
        self._stop_file = stop_file()
        self._previous_mask: Collection[int] = ()
        self._previous_handlers: dict[int, Any] = {}
        self._thread = threading.Thread(target=self._wait, name="stop-request", daemon=True)

    @property
    def exit_code(self) -> int:
        """Exit code of a run that this ended: 130 (SIGINT), 143 (SIGTERM), or 0 without a stop."""
        return 128 + self.signal if self.signal is not None else 0

    def __enter__(self) -> "StopRequest":
        for number in STOP_SIGNALS:
            self._previous_handlers[number] = signal.signal(number, self._handle)
        self._previous_mask = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._closing = True
        if self._thread.ident is not None:
            # Directed at the thread alone; it wakes up and sees that it is to end.
            signal.pthread_kill(self._thread.ident, signal.SIGTERM)
            self._thread.join()
        for number, handler in self._previous_handlers.items():
            # None: installed by a C library, which Python cannot put back.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._previous_mask)

    def _wait(self) -> None:
        while True:
            number = signal.sigwait(STOP_SIGNALS)
            if self._closing:
                return
            self._request(number)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._request(number)

    def _request(self, number: int) -> None:
        name = signal.Signals(number).name
        if self._is_broken_cluster(number):
            print(
                "\nSIGTERM that no launcher has announced: MindSpore's cluster has broken, another "
                "rank or the scheduler has gone; ended without saving",
                file=sys.stderr,
                flush=True,
            )
            os._exit(BROKEN_CLUSTER_EXIT_CODE)
        with self._lock:
            if not self.graceful:
                print(f"\n{name}: stopped", file=sys.stderr, flush=True)
            if self.signal is not None or not self.graceful:
                os._exit(128 + number)
            self.signal = int(number)
        print(
            f"\n{name}: stopping after this step and saving a checkpoint; "
            "press again to stop at once without saving",
            file=sys.stderr,
            flush=True,
        )

    def _is_broken_cluster(self, number: int) -> bool:
        announced = self._stop_file is None or self._stop_file.exists()
        return number == signal.SIGTERM and not announced
