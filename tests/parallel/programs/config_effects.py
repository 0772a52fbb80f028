"""Small runs on the ranks of this job, one after the other; prints what each rank saw as JSON.

Argument: a JSON file with ``config``, ``flags``, ``cache``, ``steps`` and ``runs`` (names and their
options).
"""

import hashlib
import json
import math
import os
import sys
from pathlib import Path

import numpy as np

from mindmlm import build
from mindmlm.config import load_config
from mindmlm.data.batches import TrainBatches
from mindmlm.parallel import zero
from mindmlm.parallel.collectives import create_groups
from mindmlm.runtime.context import initialise
from mindmlm.runtime.world import World, join_world
from mindmlm.testing.small_run import SmallRun, losses


class ReduceGradients(zero.ReduceGradients):
    """Remembers the last one that was made."""

    last = None

    def __init__(self, *arguments):
        super().__init__(*arguments)
        ReduceGradients.last = self


def main():
    zero.ReduceGradients = ReduceGradients
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    initialise("CPU", device_id=0, mode=0)
    world = join_world("MS_WORKER_NUM" in os.environ)
    seen = {}
    for name, options in job["runs"].items():
        loaded = load_config(job["config"], options, flags=job["flags"], require_inputs=False)
        config = loaded.config
        place = build.place_of(config, world if config.use_parallel else World())
        create_groups(place.layout, place.rank)
        seen[name] = report(SmallRun.create(config, Path(job["cache"]), place), job["steps"])
    print(json.dumps(seen))


def report(run, steps):
    micro_batches, made = run.micro_batches(0), rows_made(run)
    results = run.train(steps)
    return {
        "losses": losses(results),
        "norms": [result.gradient_norm for result in results],
        "rows": [digest(micro.inputs[0][row]) for micro in micro_batches for row in rows(micro)],
        "rows_made": made,
        "layers": list(range(run.model.span.start, run.model.span.stop)),
        "shapes": {value.name: list(value.shape) for value in run.model.parameters()},
        "state": sum(math.prod(value.shape) for value in run.updater.optimizer.state()),
        "buckets": len(ReduceGradients.last.bounds),
    }


def rows(micro):
    return range(len(micro.inputs[0]))


def digest(array):
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def rows_made(run):
    """Rows that are masked for step 0, also those that this rank then leaves to others."""
    made = []
    original = TrainBatches.global_batch

    def counted(self, step):
        batches = list(original(self, step))
        made.extend(len(batch.input_ids) for batch in batches)
        return batches

    TrainBatches.global_batch = counted
    try:
        run.micro_batches(0)
    finally:
        TrainBatches.global_batch = original
    return sum(made)


main()
