"""Batches are made by as many threads, and as far ahead, as the configuration says."""

from mindmlm.data.loader import Prefetcher
from mindmlm.jobs import training


def test_workers_and_prefetch(command, tmp_path, monkeypatch):
    seen = []

    class Recorded(Prefetcher):
        def __init__(self, make, start, stop, workers, prefetch):
            seen.append((start, stop, workers, prefetch))
            super().__init__(make, start, stop, workers, prefetch)

    monkeypatch.setattr(training, "Prefetcher", Recorded)
    done = command.here(
        *command.words(tmp_path, "--max_steps=1", "--mode=1"),
        "--train_dataset.num_parallel_workers=3",
        "--train_dataset.prefetch_size=5",
    )
    assert done.code == 0, done.stderr
    assert seen == [(0, 1, 3, 5)]
