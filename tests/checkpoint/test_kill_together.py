"""kill -9 of one of three processes that save together: the last good checkpoint stands."""

import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mindmlm.checkpoint import resolve_checkpoint

RANKS = 3
KILLS = 20
LONGEST_LIFE = 0.25  # seconds between the first save and the death

# Processes that meet by files, without MindSpore, save one step after the other.
CHILD = """
import sys, time
import numpy as np
from pathlib import Path
from mindmlm.checkpoint import Placement, SharedSave

root, meetings = Path(sys.argv[1]), Path(sys.argv[2])
rank, ranks, step = map(int, sys.argv[3:6])
count = 0

def meet(text):
    global count
    count += 1
    aside = meetings / f"{count}.{rank}.new"
    aside.write_text(text)
    aside.rename(meetings / f"{count}.{rank}")
    paths = [meetings / f"{count}.{other}" for other in range(ranks)]
    while not all(path.exists() for path in paths):
        time.sleep(0.0005)
    return [path.read_text() for path in paths]

layout = {"data_parallel": 1, "model_parallel": ranks, "pipeline_stage": 1}
saving = SharedSave(root, layout, 2, rank, meet)
rows = np.array_split(np.arange(61), ranks)[rank]
while True:
    whole = np.random.default_rng(step).standard_normal((61, 400))
    tensors = {"model": {"w": whole[rows].astype(np.float32)}, "optimizer": {"m": whole[rows]}}
    start = (int(rows[0]), 0)
    placements = {name: Placement((61, 400), start) for name in ("w", "m")}
    saving.save(step, tensors, placements, {"step": step}, {})
    print(step, flush=True)
    step += 1
"""


def live_and_die(folder: Path, start: int, victim: int, life: float) -> int:
    """Let three processes save, kill one, then the others; return the last step announced."""
    meetings = folder / f"meetings{start}_{time.monotonic_ns()}"
    meetings.mkdir()
    children = [
        subprocess.Popen(
            [
                *(sys.executable, "-c", CHILD, str(folder / "checkpoint"), str(meetings)),
                *map(str, (rank, RANKS, start)),
            ],
            stdout=subprocess.PIPE,
        )
        for rank in range(RANKS)
    ]
    try:
        first = children[victim].stdout.readline()
        time.sleep(life)
        children[victim].kill()
        # The others come to where they wait for it.
        time.sleep(0.15)
        assert all(child.poll() is None for child in children if child is not children[victim])
    finally:
        for child in children:
            child.kill()
    lines = [first]
    for child in children:
        lines += child.stdout.read().splitlines(keepends=True)
        child.stdout.close()
        child.wait()
    return max(int(line) for line in lines if line.endswith(b"\n"))


@pytest.mark.slow
def test_a_killed_process_takes_nothing_that_was_saved_with_it(tmp_path: Path) -> None:
    rng = random.Random(11)
    start = 0
    unfinished = 0
    for number in range(KILLS):
        announced = live_and_die(tmp_path, start, number % RANKS, rng.uniform(0, LONGEST_LIFE))
        found = resolve_checkpoint("latest", tmp_path)
        step = found.checkpoint.step
        assert step >= announced
        assert found.refused == []
        expected = np.random.default_rng(step).standard_normal((61, 400))
        assert np.array_equal(found.checkpoint.tensors("model")["w"], expected.astype(np.float32))
        assert np.array_equal(found.checkpoint.tensors("optimizer")["m"], expected)
        names = [entry.name for entry in (tmp_path / "checkpoint").iterdir()]
        unfinished += any(name.endswith((".tmp", ".trash", ".old")) for name in names)
        start = step + rng.randint(0, 1)
    assert unfinished > 3, "hardly a kill hit a save: the test shows nothing"
