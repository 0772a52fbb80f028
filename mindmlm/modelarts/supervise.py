"""The training itself runs in a child process, so that its end, whatever it is, can be uploaded.

A crash in MindSpore, a kill for want of memory or a hard exit would take an uploading thread of the
same process with it. The child's standard output and error go to files of the output folder, which
are uploaded too, and from there to this process's own.
"""

import signal
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from mindmlm.runtime.launch.process import Ended, Process, adopt_orphans
from mindmlm.runtime.launch.protocol import STOP_FILE_VARIABLE
from mindmlm.runtime.launch.screen import Follower

_POLL_SECONDS = 0.1


class StopFlag(Protocol):
    """What takes the stop signals of this process; see `training.interrupt.StopRequest`."""

    signal: int | None
    graceful: bool


def run_child(
    command: Sequence[str], log_dir: Path, rank: int, stop: StopFlag, environ: Mapping[str, str]
) -> Ended:
    """Run a command to its end, passing on stop requests and showing what it writes.

    Args:
        command: program and arguments.
        log_dir: for `rank_N.out` and `rank_N.err`, which are appended to.
        rank: of this process.
        stop: a first request is passed on, so that the child saves and ends; a second one ends
            this process, and the child with it.
        environ: the child's variables.

    Raises:
        OSError: it cannot be started, or its files not be made.
    """
    log_dir.mkdir(parents=True, exist_ok=True)
    out, err = log_dir / f"rank_{rank}.out", log_dir / f"rank_{rank}.err"
    followers = [
        Follower(path, stream.buffer, path.stat().st_size if path.exists() else 0)
        for path, stream in ((out, sys.stdout), (err, sys.stderr))
    ]
    adopt_orphans()
    with tempfile.TemporaryDirectory(prefix="mindmlm_") as folder:
        announcement = Path(folder) / "stop"
        # MindSpore sends SIGTERM to itself when its cluster breaks: see runtime/launch/protocol.py.
        environment = {**environ, STOP_FILE_VARIABLE: str(announcement), "PYTHONUNBUFFERED": "1"}
        child = Process(f"rank {rank}", command, environment, out, err)
        stop.graceful = True
        try:
            ended = _watch(child, announcement, stop, followers)
        finally:
            child.finish()
            stop.graceful = False
            for follower in followers:
                follower.finish()
    return ended


def _watch(
    child: Process, announcement: Path, stop: StopFlag, followers: Sequence[Follower]
) -> Ended:
    asked = False
    while (ended := child.ended()) is None:
        if stop.signal is not None and not asked:
            asked = True
            announcement.touch()
            child.send(stop.signal)
        for follower in followers:
            follower.forward()
        time.sleep(_POLL_SECONDS)
    return ended


def describe_end(ended: Ended) -> str:
    """A line about an end that was not good."""
    memory = ", often for want of memory" if ended.signal == signal.SIGKILL else ""
    return f"the run ended: {ended}{memory}"
