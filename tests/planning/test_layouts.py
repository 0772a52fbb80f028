"""Which layouts there are, why some do not fit, and which is best."""

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mindmlm.config import load_config
from mindmlm.parallel.layout import ParallelLayout
from mindmlm.planning.device import DEVICES, Device
from mindmlm.planning.layouts import Candidate, Refused, layouts, overview, with_choice
from mindmlm.planning.report import json_report, recommended, text_report
from mindmlm.planning.step_time import step_time

GB = 2**30


@pytest.fixture(scope="module")
def config(project_root):
    """GPT-2 with 13 billion parameters as it is shipped."""
    path = project_root / "configs" / "gpt2" / "run_gpt2_13b.yaml"
    return load_config(path, ["use_parallel=True"], require_inputs=False).config


@pytest.fixture(scope="module")
def plan(config):
    return overview(config, 50257, 32, DEVICES["ascend910"], 32 * GB)


@given(st.integers(1, 96))
def test_every_grid_of_so_many_ranks_is_there_once(devices):
    found = [
        (one.data_parallel, one.model_parallel, one.pipeline_stage) for one in layouts(devices)
    ]
    numbers = range(1, devices + 1)
    expected = {
        (data, model, devices // (data * model))
        for data, model in product(numbers, numbers)
        if devices % (data * model) == 0
    }
    assert len(found) == len(expected)
    assert set(found) == expected


def test_the_shipped_layout_fits_and_keeps_its_batch(plan, config):
    own = plan.own
    assert isinstance(own, Candidate)
    assert own.layout == ParallelLayout(4, 2, 4)
    assert (own.batch_size, own.micro_batches, own.recompute, own.fits) == (2, 24, True, True)
    assert own.needed == own.fullest.total(recompute=True)
    # 12.85 billion parameters: a rank has an eighth of them and a part of the word embedding.
    assert own.fullest.gradients / 4 == pytest.approx(12.85e9 / 8, rel=0.15)
    assert own.time.bubble == pytest.approx(3 / 27)


def test_every_candidate_does_the_same_rows(plan, config):
    for one in plan.found:
        if isinstance(one, Candidate):
            rows = one.batch_size * one.micro_batches * one.layout.data_parallel
            assert rows == config.global_batch_size == 192
            assert one.micro_batches >= one.layout.pipeline_stage


def test_the_best_is_the_fastest_that_fits(plan):
    fitting = [one for one in plan.found if isinstance(one, Candidate) and one.fits]
    assert plan.best in fitting
    assert plan.best.time.seconds == min(one.time.seconds for one in fitting)
    assert plan.best.time.seconds <= plan.own.time.seconds


def test_reasons_are_given_where_nothing_fits(plan, config):
    reasons = {one.layout: one.reason for one in plan.found if isinstance(one, Refused)}
    assert reasons[ParallelLayout(2, 16, 1)] == "model_parallel 16 does not divide 40 heads"
    tight = overview(config, 50257, 32, DEVICES["ascend910"], GB)
    assert tight.best is None
    text = text_report(tight, config)
    assert "no layout fits" in text
    assert "does not fit: parameters 8.5 GB" in text
    assert json_report(tight, config)["recommended"] is None


def test_what_is_recommended_loads_and_is_the_candidate(plan, config, project_root):
    sections = recommended(plan.best, config)
    options = [
        f"{section}.{key}={value}"
        for section, keys in sections.items()
        for key, value in keys.items()
    ]
    path = project_root / "configs" / "gpt2" / "run_gpt2_13b.yaml"
    loaded = load_config(path, options, require_inputs=False).config
    best = plan.best.layout
    assert loaded.degrees == (best.data_parallel, best.model_parallel, best.pipeline_stage)
    assert loaded.global_batch_size == config.global_batch_size


def seconds(config, layout, device, recompute=False, gradients=GB):
    return step_time(config, 50257, ParallelLayout(*layout), recompute, gradients, device)


def test_times_follow_the_device_and_the_layout(config):
    device = Device(tflops=100.0)
    twice = replace(device, tflops=200.0)
    base = seconds(config, (4, 2, 4), device)
    assert seconds(config, (4, 2, 4), twice).compute == pytest.approx(base.compute / 2)
    assert seconds(config, (4, 4, 4), device).compute == pytest.approx(base.compute / 2)
    assert seconds(config, (4, 2, 4), device, recompute=True).compute == pytest.approx(
        base.compute * 4 / 3
    )
    slow = replace(device, bandwidth=1.0, network=1.0)
    assert seconds(config, (4, 2, 4), slow).messages > base.messages
    assert seconds(config, (1, 1, 1), device).messages == 0.0
    longer = with_choice(config, 2, 48, recompute=False)
    assert seconds(longer, (4, 2, 4), device).bubble < base.bubble


def test_messages_counted_by_hand(config):
    """Ring sums of n ranks send 2 (n - 1) / n of their bytes; four a layer and micro-batch."""
    found = seconds(config, (4, 2, 4), Device(tflops=100.0), gradients=1000)
    activations = 4 * 2 * 1024 * 5120
    layers, micro = 10, 24
    assert found.model_bytes == layers * micro * 4 * activations
    assert found.data_bytes == 1500
    assert found.stage_bytes == 2 * micro * activations
