"""kill -9 at random instants of real saves: what was announced as saved is never lost."""

import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mindmlm.checkpoint import resolve_checkpoint

KILLS = 60
LONGEST_LIFE = 0.12  # seconds between the first announcement of a child and its death

# Saves one step after the other and announces each on standard output.
CHILD = """
import sys
import numpy as np
from pathlib import Path
from mindmlm.checkpoint import resolve_checkpoint, save_checkpoint

output, start = Path(sys.argv[1]), int(sys.argv[2])
step = start
while True:
    rng = np.random.default_rng(step)
    tensors = {
        "model": {"w": rng.standard_normal((64, 500)).astype(np.float32)},
        "optimizer": {"m": rng.standard_normal((64, 500)), "v": rng.standard_normal((64, 500))},
    }
    save_checkpoint(output / "checkpoint", step, tensors, {"step": step}, {}, 2)
    print(step, flush=True)
    step += 1
"""


def live_and_die(output: Path, start: int, life: float) -> int:
    """Run a child for ``life`` seconds after its first save; return the last step announced."""
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(output), str(start)], stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    try:
        first = child.stdout.readline()
        time.sleep(life)
    finally:
        child.kill()
    lines = (first + child.stdout.read()).splitlines(keepends=True)
    child.stdout.close()
    child.wait()
    return max(int(line) for line in lines if line.endswith(b"\n"))


@pytest.mark.slow
def test_a_killed_run_never_loses_what_it_saved(tmp_path: Path) -> None:
    rng = random.Random(7)
    start = 0
    unfinished = 0
    for _ in range(KILLS):
        announced = live_and_die(tmp_path, start, rng.uniform(0, LONGEST_LIFE))
        resolved = resolve_checkpoint("latest", tmp_path)
        step = resolved.checkpoint.step
        assert step >= announced
        expected = np.random.default_rng(step).standard_normal((64, 500)).astype(np.float32)
        assert np.array_equal(resolved.checkpoint.tensors("model")["w"], expected)
        names = [entry.name for entry in (tmp_path / "checkpoint").iterdir()]
        unfinished += any(name.endswith((".tmp", ".trash", ".old")) for name in names)
        # From the newest one itself every other time: it is replaced then.
        start = step + rng.randint(0, 1)
    assert unfinished > 0, "no kill hit a save: the test shows nothing"
