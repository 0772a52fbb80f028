"""kill -9 of a random rank at random moments: always the same end, and nothing is lost."""

import os
import random
import signal
import time
from pathlib import Path

import pytest

OLD = {"log/20200101_000000_ranks_0_to_3/rank_0.log": "an old log", "checkpoint/0": "weights"}


@pytest.fixture
def old_files(tmp_path: Path) -> dict[Path, str]:
    """What an earlier run has left."""
    files = {tmp_path / name: text for name, text in OLD.items()}
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return files


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(24))
def test_a_rank_killed_at_any_moment(start, old_files: dict[Path, str], seed: int) -> None:
    chance = random.Random(seed)
    job = start(PLAIN_CHILD=1, PLAIN_STEPS=100_000, PLAIN_SECONDS=0.005)
    rank = chance.randrange(4)
    pid = job.wait_for(lambda: job.rank_pid_or_none(rank))
    # From the import of the first module to some hundred steps.
    time.sleep(chance.random() * 1.5)
    os.kill(pid, signal.SIGKILL)
    code, _, err = job.finish()
    assert code == 137, err
    assert f"rank {rank}: killed by SIGKILL (signal 9)" in err
    others = {0, 1, 2, 3} - {rank}
    assert all(f"rank {other}:" not in err for other in others)
    assert {path: path.read_text() for path in old_files} == old_files
