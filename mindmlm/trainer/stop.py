"""Stopping a run that was started from Python: by Ctrl-C, or by a call.

The command line takes the signals of its process over for good and ends it by them. A notebook or a
program of the user's goes on after a run, so here they are taken for the length of a run only.
"""

import signal
import sys
import threading
from contextlib import AbstractContextManager, ExitStack
from types import FrameType, TracebackType
from typing import Any

from mindmlm.runtime.launch.protocol import stop_file
from mindmlm.training.interrupt import STOP_SIGNALS, StopRequest


class Stop(AbstractContextManager):
    """A `StopFlag` that a call or Ctrl-C sets.

    In the main thread the first Ctrl-C during training asks for a stop after the step, with a
    checkpoint; a second one, or one before training has begun, raises KeyboardInterrupt at once.
    In another thread no signal is touched.

    Attributes:
        signal: number of the signal that asked for the stop; None as long as nothing did.
        graceful: whether a stop waits for the end of the step; the training loop sets it.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self.graceful = False
        self._by_signal = False
        self._stack = ExitStack()

    def request(self) -> None:
        """Ask for a stop after the step that runs, or after the first one."""
        self.signal = self.signal or int(signal.SIGTERM)

    def raise_if_interrupted(self) -> None:
        """Raise KeyboardInterrupt if it was Ctrl-C that ended the run."""
        if self._by_signal:
            raise KeyboardInterrupt

    def __enter__(self) -> "Stop":
        if threading.current_thread() is threading.main_thread():
            # MindSpore turns a Ctrl-C that comes while a graph runs into a SIGTERM.
            for number in STOP_SIGNALS:
                previous = signal.signal(number, self._handle)
                self._stack.callback(_restore, number, previous)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._by_signal or not self.graceful:
            raise KeyboardInterrupt
        self.signal, self._by_signal = number, True
        print(
            "\nstopping after this step and saving a checkpoint; again to stop at once without one",
            file=sys.stderr,
            flush=True,
        )


class LaunchedStop(StopRequest):
    """The same in a process of a launcher, where signals mean what they mean on the command line.

    A stop that the launcher asked for ends the process with the command line's exit code.
    """

    def __enter__(self) -> "LaunchedStop":
        super().__enter__()
        return self

    def request(self) -> None:
        """See `Stop`."""
        self.signal = self.signal or int(signal.SIGTERM)

    def raise_if_interrupted(self) -> None:
        """Raise SystemExit if it was the launcher that ended the run."""
        announced = stop_file()
        if announced is not None and announced.exists():
            raise SystemExit(self.exit_code or 128 + signal.SIGTERM)


def stop_for_this_process() -> Stop | LaunchedStop:
    """Return what a run is to be stopped by."""
    in_main_thread = threading.current_thread() is threading.main_thread()
    return LaunchedStop() if stop_file() is not None and in_main_thread else Stop()


def _restore(number: int, previous: Any) -> None:
    # None: installed by a C library, which Python cannot put back.
    signal.signal(number, signal.SIG_DFL if previous is None else previous)
