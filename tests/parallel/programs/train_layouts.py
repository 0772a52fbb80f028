"""One rank that trains a small model in several layouts, one after the other.

Argument: a JSON file with

* ``config``, ``flags``, ``cache``: what every run has in common,
* ``out``: where ``NAME.RANK.json`` and the checkpoint of NAME go,
* ``train``: NAME and options of the runs that are trained,
* ``move``: those that take the checkpoint of another one (``from``) and save it again.
"""

import dataclasses
import json
import os
import sys
from pathlib import Path

from mindmlm import build
from mindmlm.checkpoint import SharedSave, read_checkpoint
from mindmlm.checkpoint.shards import Placement
from mindmlm.config import load_config
from mindmlm.config.render import to_plain
from mindmlm.parallel.agreement import Agreement
from mindmlm.parallel.collectives import create_groups
from mindmlm.parallel.micro_batch import term_scales
from mindmlm.runtime.context import initialise
from mindmlm.runtime.world import World, join_world
from mindmlm.testing.layouts import STEPS
from mindmlm.testing.small_run import SmallRun
from mindmlm.training.state import TrainState
from mindmlm.training.train_step import batch_counts


def main():
    job = json.loads(Path(sys.argv[1]).read_text())
    initialise("CPU", device_id=0, mode=0)
    world = join_world(int(os.environ.get("MS_WORKER_NUM", "1")) > 1)
    for entry in job["train"]:
        train(job, entry, create(job, entry, world))
    for entry in job["move"]:
        run = create(job, entry, world)
        (path,) = (Path(job["out"]) / entry["from"]).glob("step_*")
        checkpoint = read_checkpoint(path)
        build.load_model(run.model, checkpoint)
        build.load_state(run.updater, checkpoint)
        run.state = TrainState.from_dict(checkpoint.state)
        save(job, entry, run, {})


def create(job, entry, world):
    config = load_config(job["config"], entry["options"], flags=job["flags"]).config
    place = build.place_of(config, world if config.use_parallel else World())
    create_groups(place.layout, place.rank)
    return SmallRun.create(config, Path(job["cache"]), place)


def train(job, entry, run):
    agreement = Agreement(run.model.place)
    evaluator = build.build_evaluator(
        run.config, run.model, run.corpus.evaluation, run.tokenizer, agreement
    )
    note = {"evaluation": dataclasses.asdict(evaluator.run())}
    gradients = first_gradients(run, agreement)
    results = run.train(STEPS)
    note |= {
        "losses": [result.loss for result in results],
        "norms": [result.gradient_norm for result in results],
        "tokens": [result.tokens for result in results],
        "most_in_flight": run.updater.gradients.most_in_flight,
        "bytes": bytes_here(run),
        "trained_evaluation": dataclasses.asdict(evaluator.run()),
    }
    save(job, entry, run, gradients)
    path = Path(job["out"]) / f"{entry['name']}.{run.model.place.rank}.json"
    path.write_text(json.dumps(note))


def first_gradients(run, agreement):
    """Gradients of the mean loss of the first batch: those that this rank updates with."""
    step, micro_batches = run.train_step, run.micro_batches(0)
    *counts, _ = agreement.sums(batch_counts(micro_batches), run.model.place.reads_data)
    scales = term_scales(step.settings.terms, counts, 1.0)
    _, gradients = step.gradients(micro_batches, scales)
    summed = step.owned.reduced(step.tied(gradients))
    return {
        name: gradient.asnumpy().copy()
        for name, gradient in zip(run.updater.gradients.names, summed, strict=True)
    }


def bytes_here(run):
    """Bytes of the parameters that are alive on this rank."""
    weights = {id(value): value for value in run.model.parameters()}
    parts = {id(value): value for value in run.updater.owned.parameters if id(value) not in weights}
    return {
        "weights": sum(value.asnumpy().nbytes for value in weights.values()),
        "moments": sum(value.asnumpy().nbytes for value in run.updater.optimizer.state()),
        "parts": sum(value.asnumpy().nbytes for value in parts.values()),
    }


def save(job, entry, run, gradients):
    """Save weights, optimizer state and gradients with the other ranks."""
    place, division, shapes = run.model.place, run.model.division, run.model.shapes
    tensors, placements = build.tensors_to_save(run.updater)
    tensors["gradients"] = {}
    for name, gradient in gradients.items():
        if division.answers_for_state(name, shapes[name]):
            block = division.state(name, shapes[name])
            tensors["gradients"]["gradient." + name] = gradient
            placements["gradient." + name] = Placement(block.whole, block.start)
    saving = SharedSave(
        Path(job["out"]) / entry["name"],
        build.layout_record(place),
        keep_checkpoint_max=1,
        rank=place.rank,
        meet=Agreement(place).texts,
    )
    saving.save(STEPS, tensors, placements, run.state.to_dict(), to_plain(run.config))


main()
