"""Signals sent to real processes."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mindmlm.training.interrupt import StopRequest

# A loop that stops after the step in which a stop was asked for. The last line tells that the
# process is back to normal: the mask and the handlers are what they were.
LOOP = """
import signal, sys, time
from mindmlm.training.interrupt import StopRequest
before = [signal.getsignal(2), signal.getsignal(15), signal.pthread_sigmask(signal.SIG_BLOCK, [])]
with StopRequest() as stop:
    stop.graceful = True
    step = 0
    while stop.signal is None:
        time.sleep(0.02)
        step += 1
        print("step", step, flush=True)
after = [signal.getsignal(2), signal.getsignal(15), signal.pthread_sigmask(signal.SIG_BLOCK, [])]
print("saved", stop.signal, before == after, flush=True)
sys.exit(stop.exit_code)
"""

# A main thread that never comes back to Python's interpreter loop, as in a long graph.
STUCK = """
import ctypes
from mindmlm.training.interrupt import StopRequest
with StopRequest() as stop:
    stop.graceful = True
    print("ready", flush=True)
    ctypes.CDLL(None).pause()
"""

# numpy's threads are older than the request and catch signals too.
EARLY_THREADS = "import numpy\n" + LOOP

GRAPH = """
import signal, sys
from mindmlm.training.interrupt import StopRequest
with StopRequest() as stop:
    stop.graceful = True
    import numpy as np
    import mindspore
    from mindspore import nn, ops

    class Long(nn.Cell):
        def construct(self, x):
            for _ in range(60):
                x = ops.matmul(x, x)
            return x

    mindspore.set_context(mode=mindspore.GRAPH_MODE)
    net, x = Long(), mindspore.Tensor(np.eye(1200, dtype=np.float32))
    total = net(x).asnumpy().trace()
    print("ready", flush=True)
    steps = 0
    while stop.signal is None and steps < 200:
        total = net(x).asnumpy().trace()
        steps += 1
    print("saved", stop.signal, total, flush=True)
sys.exit(stop.exit_code)
"""


class Child:
    """A Python process whose lines are read one by one."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait_for(self, word: str) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith(word):
                return
        pytest.fail(f"the process ended without {word!r}: {self.process.communicate()[1]}")

    def finish(self) -> tuple[int, str, str]:
        output, errors = self.process.communicate(timeout=60)
        return self.process.returncode, output, errors


@pytest.fixture
def start() -> Iterator[type[Child]]:
    children: list[Child] = []

    class Recorded(Child):
        def __init__(self, *arguments: str) -> None:
            super().__init__(*arguments)
            children.append(self)

    yield Recorded
    for child in children:
        child.process.kill()
        child.process.communicate()


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"]
)
@pytest.mark.parametrize("program", [LOOP, EARLY_THREADS], ids=["first", "after numpy"])
def test_the_first_signal_ends_the_loop(
    start: type[Child], program: str, number: signal.Signals, code: int
) -> None:
    child = start("-c", program)
    child.wait_for("step")
    child.process.send_signal(number)
    returned, output, errors = child.finish()
    assert returned == code
    assert output.splitlines()[-1] == f"saved {int(number)} True"
    assert f"{number.name}: stopping after this step" in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize(("first", "second"), [(2, 2), (2, 15), (15, 2)])
def test_the_second_signal_ends_the_process_at_once(
    start: type[Child], first: int, second: int
) -> None:
    child = start("-c", STUCK)
    child.wait_for("ready")
    child.process.send_signal(first)
    assert child.process.stderr is not None
    while "stopping" not in child.process.stderr.readline():
        assert child.process.poll() is None
    child.process.send_signal(second)
    returned, _, errors = child.finish()
    assert returned == 128 + second
    assert "Traceback" not in errors


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_at_once_what_has_nothing_to_save(
    start: type[Child], number: signal.Signals, code: int
) -> None:
    child = start("-c", STUCK.replace("stop.graceful = True", "pass"))
    child.wait_for("ready")
    child.process.send_signal(number)
    returned, _, errors = child.finish()
    assert returned == code
    assert f"{number.name}: stopped" in errors


def test_a_signal_before_the_block_ends_is_not_lost_and_nothing_stays_behind() -> None:
    threads = threading.active_count()
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    with StopRequest() as stop:
        stop.graceful = True
        assert {signal.SIGINT, signal.SIGTERM} <= signal.pthread_sigmask(signal.SIG_BLOCK, [])
        assert stop.exit_code == 0
        os.kill(os.getpid(), signal.SIGTERM)
        deadline = threading.Event()
        for _ in range(1000):
            if stop.signal is not None:
                break
            deadline.wait(0.01)
    assert (stop.signal, stop.exit_code) == (signal.SIGTERM, 143)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == mask
    assert threading.active_count() == threads


def test_leaving_without_a_signal() -> None:
    with StopRequest() as stop:
        stop.graceful = True
    assert (stop.signal, stop.exit_code) == (None, 0)


@pytest.mark.slow
def test_ctrl_c_inside_a_graph(start: type[Child], tmp_path: Path) -> None:
    # MindSpore compiles from the source file.
    program = tmp_path / "program.py"
    program.write_text(GRAPH)
    child = start(str(program))
    child.wait_for("ready")
    child.process.send_signal(signal.SIGINT)
    returned, output, errors = child.finish()
    assert returned == 130, errors
    assert output.splitlines()[-1] == "saved 2 1200.0"
    assert "SIGINT: stopping after this step" in errors
