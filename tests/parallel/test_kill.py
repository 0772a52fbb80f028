"""kill -9 of a rank while all save: the last good checkpoint stands."""

import random
import time
from pathlib import Path

import numpy as np
import pytest

from mindmlm.checkpoint import resolve_checkpoint
from mindmlm.testing.run_ranks import started_ranks

pytestmark = pytest.mark.slow
PROGRAM = Path(__file__).parent / "programs" / "save_forever.py"
MOST_KILLS = 20


@pytest.mark.parametrize("victim", [0, 1])
def test_the_last_good_checkpoint_stands(tmp_path: Path, victim: int) -> None:
    chance = random.Random(victim)
    start, hits, kills = 1, 0, 0
    # When a kill comes is chance: more of them until one has hit a save.
    while kills < 2 or (not hits and kills < MOST_KILLS):
        kills += 1
        with started_ranks(PROGRAM, 2, [tmp_path / "checkpoint", start]) as ranks:
            end = time.monotonic() + 120
            while not all(ranks.stdout(rank).count("\n") >= 2 for rank in range(2)):
                assert time.monotonic() < end, ranks.stderr(0) + ranks.stderr(1)
                assert ranks.codes() == [None, None], ranks.stderr(0) + ranks.stderr(1)
                time.sleep(0.02)
            time.sleep(chance.uniform(0, 0.3))
            ranks.processes[victim].kill()
            time.sleep(1.0)
            announced = [int(word) for rank in range(2) for word in ranks.stdout(rank).split()]
            stood = assert_good(tmp_path, max(announced))
            # The one that is left waits; it completes nothing without the other.
            time.sleep(1.0)
            assert assert_good(tmp_path, max(announced)) == stood
        names = [path.name for path in (tmp_path / "checkpoint").iterdir()]
        hits += any(name.endswith(".tmp") for name in names)
        start = stood + 1
    assert hits, "no kill hit a save: the test shows nothing"


def assert_good(folder: Path, announced: int) -> int:
    """The newest checkpoint is whole, and at least as new as the last that was announced."""
    found = resolve_checkpoint("latest", folder)
    assert found.refused == []
    step = found.checkpoint.step
    assert step >= announced
    expected = np.random.default_rng(step).standard_normal((401, 3000))
    assert np.array_equal(found.checkpoint.tensors("optimizer")["m"], expected)
    assert np.array_equal(found.checkpoint.tensors("model")["w"], expected.astype(np.float32))
    return step
