"""Two ranks to which something happens; prints a JSON object: what -> what this rank saw of it.

Argument: a JSON file with ``config``, ``flags``, ``cache``, ``out`` and ``layouts`` (names and
their options).
"""

import json
import math
import resource
import sys
from pathlib import Path

import numpy as np

from mindmlm import build
from mindmlm.checkpoint import SharedSave
from mindmlm.config import load_config
from mindmlm.errors import MindmlmError
from mindmlm.jobs.replicas import check_configs, check_replicas
from mindmlm.jobs.session import Session
from mindmlm.jobs.start import shared_checkpoint
from mindmlm.parallel.agreement import Agreement
from mindmlm.parallel.collectives import create_groups
from mindmlm.runtime.context import initialise
from mindmlm.runtime.run_folder import RunFolder
from mindmlm.runtime.world import join_world
from mindmlm.testing.small_run import SmallRun


class Job:
    def __init__(self, given, world):
        self.given, self.world = given, world
        self.rank = world.rank
        self.out = Path(given["out"])

    def config(self, layout, *options):
        options = [*self.given["layouts"][layout], *options]
        return load_config(self.given["config"], options, flags=self.given["flags"]).config

    def run(self, layout, *options):
        config = self.config(layout, *options)
        place = build.place_of(config, self.world)
        create_groups(place.layout, place.rank)
        return SmallRun.create(config, Path(self.given["cache"]), place)


def everything(run):
    """The bytes of weights, of the parts that are updated, and of the optimizer state."""
    values = [
        *run.model.parameters(),
        *run.updater.owned.parameters,
        *run.updater.optimizer.state(),
    ]
    return [value.asnumpy().tobytes() for value in values]


def what_happened(run, result):
    return {
        "overflow": result.overflow,
        "norm_is_finite": math.isfinite(result.gradient_norm),
        "scale": run.state.loss_scale.value,
        "overflow_count": run.state.loss_scale.overflow_count,
        "step": run.state.step,
    }


def poisoned(job, run, change):
    """A good step, one that is bad on rank 1 alone, and a good one."""
    good = run.train_step.gradients
    (first,) = run.train(1)
    before = everything(run)
    if job.rank == 1:
        run.train_step.gradients = change(good)
    (bad,) = run.train(1)
    note = what_happened(run, bad)
    note["unchanged"] = everything(run) == before
    run.train_step.gradients = good
    (after,) = run.train(1)
    note["goes_on"] = not first.overflow and not after.overflow and everything(run) != before
    note["finite"] = all(np.isfinite(value).all() for value in run.weights().values())
    return note


def one_nan(good):
    """Gradients of which a single value is no number."""

    def gradients(micro_batches, scale):
        loss, values = good(micro_batches, scale)
        array = values[-1].asnumpy().copy()
        array.reshape(-1)[-1] = np.nan
        return loss, (*values[:-1], type(values[-1])(array))

    return gradients


def too_large(good):
    """Gradients of a loss so large that float16 overflows in the backward pass."""
    return lambda micro_batches, scale: good(micro_batches, scale * 2.0**30)


def see_nan(job):
    return {
        layout: poisoned(job, job.run(layout), one_nan)
        for layout in ("dp2", "dp2_zero", "tp2", "pp2")
    }


def see_float16(job):
    run = job.run(
        "dp2_zero",
        "model.model_config.compute_dtype=float16",
        "runner_wrapper.scale_sense.loss_scale_value=1024",
    )
    return poisoned(job, run, too_large)


def see_other_configs(job):
    """Rank 1 was started with another seed, and with another layout."""
    found = {}
    for what, layout, options in (
        ("seed", "dp2", ["seed=7"]),
        ("layout", "tp2", []),
        ("device", "dp2", ["context.device_id=1"]),
    ):
        changed = job.rank == 1
        config = job.config(layout if changed else "dp2", *(options if changed else []))
        place = build.place_of(config, job.world)
        create_groups(place.layout, place.rank)
        found[what] = message(
            lambda config=config, place=place: check_configs(config, Agreement(place))
        )
    return found


def see_other_weights(job):
    run = job.run("dp2")
    agreement = Agreement(run.model.place)
    found = {"same": message(lambda: check_replicas(run.model, {"step": 0}, agreement))}
    value = run.model.parameters()[3]
    if job.rank == 1:
        array = value.asnumpy().copy()
        array.reshape(-1)[0] = np.nextafter(array.reshape(-1)[0], np.float32(2))
        value.set_data(type(value.data)(array))
    found["weight"] = message(lambda: check_replicas(run.model, {"step": 0}, agreement))
    found["name"] = value.name
    run = job.run("dp2")
    state = {"seed": 1 + job.rank}
    found["state"] = message(lambda: check_replicas(run.model, state, agreement))
    return found


def see_full_disk(job):
    """Files of rank 1 can have 10,000 bytes at most: the system says so while it writes."""
    run, root = job.run("dp2_zero"), job.out / "full" / "checkpoint"
    save(run, root, 1)
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    if job.rank == 1:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, unlimited[1]))
    found = {"full": message(lambda: save(run, root, 2))}
    if job.rank == 1:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    Agreement(run.model.place).texts("")  # rank 0 has cleaned up
    found["left"] = sorted(path.name for path in root.iterdir())
    Agreement(run.model.place).texts("")
    found["room"] = message(lambda: save(run, root, 3))
    return found


def see_damage(job):
    """A flipped bit in the newest checkpoint, in what rank 1 has written."""
    run, folder = job.run("dp2_zero"), job.out / "damaged"
    for step in (1, 2):
        save(run, folder / "checkpoint", step)
    shard = folder / "checkpoint" / "step_00000002" / "optimizer.rank_00001.safetensors"
    if job.rank == 0:
        data = bytearray(shard.read_bytes())
        data[-100] ^= 4
        shard.write_bytes(data)
    config = job.config("dp2_zero", f"output_dir={folder}", "load_checkpoint=latest")
    session = Session(config, RunFolder(folder), Agreement(run.model.place))
    found = {"taken": shared_checkpoint(session).step}
    config = job.config("dp2_zero", f"load_checkpoint={shard.parent}")
    session = Session(config, RunFolder(folder), Agreement(run.model.place))
    found["refused"] = message(lambda: shared_checkpoint(session))
    return found


def save(run, root, step):
    place = run.model.place
    tensors, placements = build.tensors_to_save(run.updater)
    saving = SharedSave(root, build.layout_record(place), 5, place.rank, Agreement(place).texts)
    saving.save(step, tensors, placements, {"step": step}, {})


def message(action):
    """Class and text of the error that a user would see, or nothing."""
    try:
        action()
    except MindmlmError as error:
        return f"{type(error).__name__}: {error}"
    return ""


def main():
    given = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    initialise("CPU", device_id=0, mode=0)
    job = Job(given, join_world(use_parallel=True))
    sights = {name.removeprefix("see_"): see for name, see in globals().items() if "see_" in name}
    print(json.dumps({name: see(job) for name, see in sights.items()}))


main()
