"""The side of a benchmark that runs in its own process: waits for a line, works, prints a number.

Both sides live in processes of their own, so that neither framework's threads disturb the other's,
and they take turns, so that a machine whose speed drifts is fair to both.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path


def serve(
    work: Callable[[], float], warm_up: int, before: Callable[[], None] = lambda: None
) -> None:
    """Do `work` `warm_up` times, then once for every line on standard input.

    `work` returns how many units it did; units per second go to standard output. The time of
    `before`, which goes ahead of each `work`, does not count.
    """

    def speed() -> float:
        before()
        start = time.perf_counter()
        units = work()
        return units / (time.perf_counter() - start)

    serve_values(speed, warm_up)


def serve_values(measure: Callable[[], float], warm_up: int) -> None:
    """`measure` `warm_up` times, then once for every line on standard input: its value is printed.

    Whatever else the process prints goes to standard error.
    """
    results = sys.stdout
    sys.stdout = sys.stderr
    for _ in range(warm_up):
        measure()
    print("ready", file=results, flush=True)
    for _ in sys.stdin:
        print(measure(), file=results, flush=True)


def serve_steps(work: Callable[[], float], peak_memory: bool) -> None:
    """Serve training steps, four of them as warm-up: units per second, or the peak memory.

    Only after four steps has MindSpore touched every block of memory that it uses.

    Args:
        work: does some steps, returns how many units.
        peak_memory: print the peak of this process in MB after each turn.
    """
    if not peak_memory:
        serve(work, warm_up=4)
        return

    def peak() -> float:
        work()
        return peak_megabytes()

    serve_values(peak, warm_up=4)


def peak_megabytes() -> float:
    """Largest resident set that this process has had, in MB (10^6 bytes)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise RuntimeError("/proc/self/status has no VmHWM")
