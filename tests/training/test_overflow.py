"""float16: a step whose gradient overflows changes nothing, and training goes on."""

import itertools
import math

import numpy as np


def float16(scale):
    return (
        "model.model_config.compute_dtype=float16",
        f"runner_wrapper.scale_sense.loss_scale_value={scale}",
        "runner_wrapper.scale_sense.scale_window=3",
        "runner_config.max_steps=100",
        "lr_schedule.warmup_ratio=0",
    )


def test_an_overflowed_step_is_skipped_counted_and_halves_the_scale(small_run):
    run = small_run(*float16(2**40))
    moments = [value.asnumpy().copy() for value in run.updater.optimizer.state()]
    before = run.weights()
    (first,) = run.train(1)
    assert first.overflow
    assert not math.isfinite(first.gradient_norm)
    assert math.isfinite(first.loss)
    assert first.loss_scale == 2.0**40
    assert run.state.loss_scale.value == 2.0**39
    assert (run.state.step, run.state.updates, run.state.loss_scale.overflow_count) == (1, 0, 1)
    for name, value in run.weights().items():
        assert value.tobytes() == before[name].tobytes(), name
    for moment, value in zip(moments, run.updater.optimizer.state(), strict=True):
        assert moment.tobytes() == value.asnumpy().tobytes()

    later = run.train(39)
    skipped = 1 + sum(step.overflow for step in later)
    assert run.state.loss_scale.overflow_count == skipped
    assert run.state.updates == 40 - skipped > 5
    assert any((value != before[name]).any() for name, value in run.weights().items())
    scales = [step.loss_scale for step in later]
    assert 1.0 <= min(scales) < 2**36
    # After three good steps the scale grows again.
    assert any(after == 2 * now for now, after in itertools.pairwise(scales))


def test_float16_stays_close_to_float32(small_run):
    low = small_run(*float16(1024)).train(5)
    full = small_run("runner_config.max_steps=100", "lr_schedule.warmup_ratio=0").train(5)
    assert not any(step.overflow for step in low)
    assert [step.loss_scale for step in full] == [1.0] * 5
    for ours, expected in zip(low, full, strict=True):
        np.testing.assert_allclose(ours.loss, expected.loss, rtol=2e-3)
        np.testing.assert_allclose(ours.gradient_norm, expected.gradient_norm, rtol=3e-2)
        assert ours.loss != expected.loss
