"""`main_first` with real processes, which meet by a pipe instead of by MindSpore."""

import multiprocessing
import time
from pathlib import Path

import pytest

from mindmlm.jobs.session import Session
from mindmlm.parallel.layout import ParallelLayout
from mindmlm.parallel.place import Place
from mindmlm.runtime.run_folder import RunFolder

RANKS = 3


class Met:
    """The part of an agreement that `main_first` uses."""

    def __init__(self, rank, barrier):
        self.place = Place(ParallelLayout(RANKS), rank)
        self.barrier = barrier

    def texts(self, text):
        self.barrier.wait(30)
        return [text] * RANKS


def process(rank, folder, barrier, notes, fails):
    session = Session(None, RunFolder(folder), Met(rank, barrier))
    if rank == 0:
        time.sleep(0.2)  # the others are at the meeting first
    with session.main_first():
        notes.put((rank, "in", time.monotonic()))
        time.sleep(0.3 if rank == 0 else 0.6)
        if rank == 0:
            if fails:
                notes.close()
                notes.join_thread()
                raise SystemExit(3)
            (folder / "made").write_text("by rank 0")
        assert (folder / "made").exists()
        notes.put((rank, "out", time.monotonic()))


def run(folder, fails=False):
    """Times of all ranks by (rank, in or out), and exit codes."""
    context = multiprocessing.get_context("spawn")
    barrier, notes = context.Barrier(RANKS), context.Queue()
    processes = [
        context.Process(target=process, args=(rank, folder, barrier, notes, fails))
        for rank in range(RANKS)
    ]
    for child in processes:
        child.start()
    for child in processes:
        child.join(60)
        child.kill()
    times = {}
    while not notes.empty():
        rank, what, moment = notes.get(timeout=5)
        times[rank, what] = moment
    return times, [child.exitcode for child in processes]


@pytest.mark.slow
def test_rank_0_is_through_before_the_others_begin_and_they_go_side_by_side(tmp_path: Path):
    times, codes = run(tmp_path)
    assert codes == [0] * RANKS
    for rank in (1, 2):
        assert times[rank, "in"] >= times[0, "out"] - 0.05
    assert times[1, "in"] < times[2, "out"]
    assert times[2, "in"] < times[1, "out"]


@pytest.mark.slow
def test_the_others_do_not_wait_for_a_rank_0_that_has_ended(tmp_path: Path):
    times, codes = run(tmp_path, fails=True)
    assert codes[0] == 3
    # They come in, and find that what rank 0 should have made is missing.
    assert {(1, "in"), (2, "in")} <= set(times)
    assert codes[1:] == [1, 1]


def test_alone_there_is_nobody_to_wait_for(tmp_path: Path):
    class Alone:
        place = Place.alone()

    with Session(None, RunFolder(tmp_path), Alone()).main_first():
        assert list(tmp_path.iterdir()) == []
