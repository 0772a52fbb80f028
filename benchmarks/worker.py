"""The side of a benchmark that runs in its own process: waits for a line, works, prints a number.

Both sides live in processes of their own, so that neither framework's threads disturb the other's,
and they take turns, so that a machine whose speed drifts is fair to both.
"""

import sys
import time
from collections.abc import Callable


def serve(
    work: Callable[[], float], warm_up: int, before: Callable[[], None] = lambda: None
) -> None:
    """Do `work` `warm_up` times, then once for every line on standard input.

    `work` returns how many units it did; units per second go to standard output. The time of
    `before`, which goes ahead of each `work`, does not count.
    """
    results = sys.stdout
    sys.stdout = sys.stderr
    for _ in range(warm_up):
        before()
        work()
    print("ready", file=results, flush=True)
    for _ in sys.stdin:
        before()
        start = time.perf_counter()
        units = work()
        print(units / (time.perf_counter() - start), file=results, flush=True)
