"""A rank that saves one step after the other with the others, and prints each that is saved.

Arguments: folder of the checkpoints, first step.
"""

import sys
from pathlib import Path

import numpy as np

from mindmlm.checkpoint import Placement, SharedSave
from mindmlm.parallel.agreement import Agreement
from mindmlm.parallel.collectives import create_groups
from mindmlm.parallel.layout import ParallelLayout, cut
from mindmlm.parallel.place import Place
from mindmlm.runtime.context import initialise
from mindmlm.runtime.world import join_world

ROWS, COLUMNS = 401, 3000

initialise("CPU", device_id=0, mode=0)
world = join_world(use_parallel=True)
place = Place(ParallelLayout(model_parallel=world.size), world.rank)
create_groups(place.layout, place.rank)
degrees = {"data_parallel": 1, "model_parallel": world.size, "pipeline_stage": 1}
saving = SharedSave(Path(sys.argv[1]), degrees, 2, world.rank, Agreement(place).texts)
start, stop = cut(ROWS, world.size, world.rank)
step = int(sys.argv[2])
while True:
    whole = np.random.default_rng(step).standard_normal((ROWS, COLUMNS))
    tensors = {
        "model": {"w": whole[start:stop].astype(np.float32)},
        "optimizer": {"m": whole[start:stop]},
    }
    placements = {name: Placement(whole.shape, (start, 0)) for name in ("w", "m")}
    saving.save(step, tensors, placements, {"step": step}, {})
    print(step, flush=True)
    step += 1
