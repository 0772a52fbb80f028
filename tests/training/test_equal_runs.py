"""What must not change the numbers of a training run, and what must not be lost by it."""

import numpy as np
import pytest

from mindmlm.data.loader import Prefetcher
from mindmlm.testing.small_run import losses

DROPOUT = (
    "model.model_config.hidden_dropout_prob=0.1",
    "model.model_config.attention_probs_dropout_prob=0.1",
)


def split(batch_size, micro_batches):
    return (
        f"runner_config.batch_size={batch_size}",
        f"runner_config.gradient_accumulation_steps={micro_batches}",
        "runner_config.max_steps=6",
        "lr_schedule.learning_rate=1e-2",
        *DROPOUT,
    )


def ids_of(micro_batches):
    return np.concatenate([micro.inputs[0] for micro in micro_batches])


def test_gradient_accumulation_changes_nothing_but_memory(small_run):
    runs = {micro: small_run(*split(8 // micro, micro)) for micro in (1, 2, 4)}
    for step in range(6):
        batches = {micro: run.micro_batches(step) for micro, run in runs.items()}
        for micro in (2, 4):
            np.testing.assert_array_equal(ids_of(batches[micro]), ids_of(batches[1]))
            for site, whole in enumerate(batches[1][0].keeps):
                parts = [batch.keeps[site] for batch in batches[micro]]
                np.testing.assert_array_equal(np.concatenate(parts), whole)
    # Else a mean of means would pass.
    assert any(len({b.counts for b in runs[4].micro_batches(step)}) > 1 for step in range(6))
    results = {micro: run.train(6) for micro, run in runs.items()}
    for micro in (2, 4):
        np.testing.assert_allclose(losses(results[micro]), losses(results[1]), rtol=1e-5)
        norms = [[step.gradient_norm for step in results[m]] for m in (micro, 1)]
        np.testing.assert_allclose(*norms, rtol=1e-4)
    assert losses(results[1])[-1] < losses(results[1])[0]


def test_the_same_seed_gives_the_same_run_bit_for_bit(small_run):
    first, second = small_run(*split(4, 1)), small_run(*split(4, 1))
    other = small_run(*split(4, 1), "seed=43")
    assert losses(first.train(6)) == losses(second.train(6)) != losses(other.train(6))
    expected = second.weights()
    for name, value in first.weights().items():
        assert value.tobytes() == expected[name].tobytes(), name


@pytest.mark.parametrize(("workers", "prefetch"), [(1, 1), (2, 4), (4, 9)])
def test_threads_and_prefetching_change_no_bit_of_a_batch(small_run, workers, prefetch):
    run = small_run(*split(4, 2))
    with Prefetcher(run.micro_batches, 3, 12, workers, prefetch) as batches:
        made = list(batches)
    assert len(made) == 9
    for step, batch in enumerate(made, start=3):
        for ours, expected in zip(batch, run.micro_batches(step), strict=True):
            assert (ours.counts, ours.tokens) == (expected.counts, expected.tokens)
            arrays = zip(
                (*ours.inputs, *ours.keeps), (*expected.inputs, *expected.keeps), strict=True
            )
            assert all(mine.tobytes() == theirs.tobytes() for mine, theirs in arrays)


def test_the_same_numbers_in_pynative_mode(small_run):
    import mindspore as ms

    graph = small_run(*split(4, 2)).train(2)
    ms.set_context(mode=ms.PYNATIVE_MODE)
    try:
        pynative = small_run(*split(4, 2)).train(2)
    finally:
        ms.set_context(mode=ms.GRAPH_MODE)
    np.testing.assert_allclose(losses(pynative), losses(graph), rtol=1e-6)
    norms = [[step.gradient_norm for step in steps] for steps in (pynative, graph)]
    np.testing.assert_allclose(*norms, rtol=1e-5)
