"""ELECTRA's training: what its keys do, its random numbers, its losses, what evaluation says."""

from contextlib import contextmanager

import mindspore as ms
import numpy as np
import pytest

from mindmlm import build
from mindmlm.config import load_config
from mindmlm.parallel.agreement import Agreement
from mindmlm.parallel.micro_batch import term_scales
from mindmlm.testing.command import SMALL_OPTIONS
from mindmlm.testing.small_run import SmallRun

MODEL = "model.model_config"


@pytest.fixture(scope="module")
def electra_run(project_root, tmp_path_factory, text_and_vocabulary, graph_mode):
    """A function (options...) -> SmallRun of ELECTRA."""
    text, vocabulary = text_and_vocabulary
    cache = tmp_path_factory.mktemp("cache")

    def create(*options):
        loaded = load_config(
            project_root / "configs" / "electra" / "run_electra_tiny.yaml",
            [*SMALL_OPTIONS, f"{MODEL}.embedding_size=16", *options],
            flags={"dataset_dir": str(text), "vocab_file": str(vocabulary)},
        )
        return SmallRun.create(loaded.config, cache)

    return create


@contextmanager
def operators_at_once():
    """PyNative: the first step of a new model costs no compilation."""
    ms.set_context(mode=ms.PYNATIVE_MODE)
    try:
        yield
    finally:
        ms.set_context(mode=ms.GRAPH_MODE)


def weighted_losses(run) -> np.ndarray:
    """Both terms of the loss of the first batch with dropout, before any update."""
    task = build.task_of(run.config)
    cell = task.loss(run.model.cell, run.model.span)
    cell.set_train(True)
    (micro,) = run.micro_batches(0)
    scales = ms.Tensor(term_scales(task.terms, micro.counts, 1.0), ms.float32)
    arrays = [ms.Tensor(array) for array in (*micro.inputs, *micro.keeps)]
    return cell(ms.Tensor([0.0]), scales, *arrays).asnumpy()


BASE = (
    "train_dataset.seed=1",
    f"{MODEL}.num_hidden_layers=2",
    f"{MODEL}.initializer_range=0.5",
)


@pytest.fixture(scope="module")
def base_losses(electra_run):
    with operators_at_once():
        return weighted_losses(electra_run(*BASE))


@pytest.mark.parametrize(
    ("key", "value", "changed"),
    [
        (f"{MODEL}.embedding_size", "24", [True, True]),
        (f"{MODEL}.generator_hidden_size", "0.5", [True, True]),
        (f"{MODEL}.generator_layers", "0.5", [True, True]),
        ("electra.gen_weight", "2.0", [True, False]),
        ("electra.disc_weight", "20.0", [False, True]),
        ("electra.temperature", "0.5", [False, True]),
        ("seed", "43", [True, True]),
    ],
)
def test_keys_that_change_the_losses(electra_run, base_losses, key, value, changed):
    with operators_at_once():
        after = weighted_losses(electra_run(*BASE, f"{key}={value}"))
    assert (base_losses != after).tolist() == changed


def test_random_numbers_belong_to_the_rows_of_the_global_batch(electra_run):
    def rows(run, step, number):
        return np.concatenate([micro.inputs[number] for micro in run.micro_batches(step)])

    whole, parts = (
        electra_run("runner_config.batch_size=8"),
        electra_run("runner_config.batch_size=2", "runner_config.gradient_accumulation_steps=4"),
    )
    for number in (0, 1):  # masked ids, draws
        np.testing.assert_array_equal(rows(whole, 3, number), rows(parts, 3, number))
    draws = rows(whole, 3, 1)
    # int((0.15 + 0.005) * 32) predictions of a row.
    assert draws.shape == (8, 4, 2)
    chosen = rows(whole, 3, 6) > 0
    assert len(np.unique(draws[chosen])) == 2 * chosen.sum() > 20
    assert (rows(whole, 4, 1) != draws).mean() > 0.9


def test_hidden_tokens_are_those_of_the_paper(electra_run):
    run = electra_run("runner_config.batch_size=64")
    ids, labels, weights, positions = [], [], [], []
    for step in range(6):
        (micro,) = run.micro_batches(step)
        masked, _, _, _, places, originals, counted = micro.inputs
        ids.append(np.take_along_axis(masked, places, 1)[counted > 0])
        labels.append(originals[counted > 0])
        positions.append(places)
        weights.append(counted)
    seen, original = np.concatenate(ids), np.concatenate(labels)
    is_hidden = seen == run.tokenizer.mask_id
    assert abs(is_hidden.mean() - 0.85) < 0.04
    assert (seen == original)[~is_hidden].all()


@pytest.mark.slow
def test_both_losses_fall_and_evaluation_repeats_itself(electra_run):
    run = electra_run("lr_schedule.learning_rate=2e-3", "lr_schedule.warmup_ratio=0")
    agreement = Agreement(run.model.place)
    evaluator = build.build_evaluator(
        run.config, run.model, run.corpus.evaluation, run.tokenizer, agreement
    )
    first = evaluator.run()
    assert evaluator.run() == first
    values = first.values
    assert values["loss"] == pytest.approx(
        values["generator_loss"] + 50.0 * values["discriminator_loss"]
    )
    assert values["perplexity"] == pytest.approx(np.exp(values["generator_loss"]))
    assert "replaced accuracy" in first.describe() and "tokens)" in first.describe()
    results = run.train(40)
    for result in (results[0], results[-1]):
        assert set(result.terms) == {"generator_loss", "discriminator_loss"}
        whole = result.terms["generator_loss"] + 50.0 * result.terms["discriminator_loss"]
        assert result.loss == pytest.approx(whole, rel=1e-6)
    for name in ("generator_loss", "discriminator_loss"):
        start, end = (
            np.mean([result.terms[name] for result in part]) for part in (results[:4], results[-4:])
        )
        assert end < 0.98 * start
    trained = evaluator.run().values
    assert trained["loss"] < values["loss"]
    assert trained["replaced_accuracy"] > 0.8 > values["replaced_accuracy"]


def test_rows_that_fill_up_a_batch_are_not_judged(electra_run):
    run = electra_run()
    task, store = build.task_of(run.config), run.corpus.evaluation
    sums = set()
    for size in (1, 5, 64):
        batches = task.evaluation_batches(store, run.tokenizer, size)
        arrays = [task.evaluation_arrays(batches.batch(n)) for n in range(len(batches))]
        rows = [np.concatenate([batch[number] for batch in arrays]) for number in (0, 1, 2, 6)]
        counted = [array[: store.num_samples].tobytes() for array in rows]
        sums.add((rows[2].sum(), rows[3].sum(), *counted))
    assert len(sums) == 1 and store.num_samples % 5
