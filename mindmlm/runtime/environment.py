"""Environment variables of this process that count before MindSpore is imported."""

import os

# libgomp lets waiting threads look for work 100 times before they fall asleep where it counts more
# threads than cores, and 1,000 times (10 microseconds) if they are "active". Where each has a core,
# "active" alone would be minutes and the default is 3 ms, in which MindSpore's other threads have
# one core less: 1,000 there too. In LLVM's library "active" is for ever; 200 ms is its default.
_WAITING = {"OMP_WAIT_POLICY": "active", "GOMP_SPINCOUNT": "1000", "KMP_BLOCKTIME": "200"}


def prepare_environment() -> None:
    """Set what MindSpore and OpenMP read when they are loaded, unless it is set.

    It has no effect on a MindSpore that has been imported.

    MindSpore's warnings about its internals are left out (``GLOG_v``). Threads that wait for work
    do so awake for a moment (``OMP_WAIT_POLICY`` and others): MindSpore runs small graphs on the
    thread that calls and large ones on its own, each with a team of threads, and libgomp, which
    counts more threads than cores, would let them fall asleep between any two loops.
    """
    os.environ.setdefault("GLOG_v", "3")
    if not os.environ.keys() & _WAITING.keys():
        os.environ.update(_WAITING)
