"""Learning-rate schedules against Hugging Face's, and against their formulas with lr_end."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mindmlm.optim.schedules import Schedule, warmup_steps

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")


@st.composite
def lengths(draw):
    """(warm-up, total, step) with warm-up < total and steps beyond the end among them."""
    total = draw(st.integers(1, 2000))
    return draw(st.integers(0, total - 1)), total, draw(st.integers(0, total + 50))


rates = st.floats(1e-6, 1.0)


def huggingface_rate(make, learning_rate, step, **arguments):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=learning_rate)
    scheduler = make(optimizer, **arguments)
    return learning_rate * scheduler.lr_lambdas[0](step)


@settings(deadline=None)
@given(lengths(), rates)
def test_linear_equals_huggingface(length, rate):
    warmup, total, step = length
    expected = huggingface_rate(
        transformers.get_linear_schedule_with_warmup,
        rate,
        step,
        num_warmup_steps=warmup,
        num_training_steps=total,
    )
    ours = Schedule("linear", rate, 0.0, warmup, total).at(step)
    assert ours == pytest.approx(expected, rel=1e-12, abs=1e-18)


@settings(deadline=None)
@given(lengths(), rates)
def test_cosine_equals_huggingface_up_to_its_end_and_stays_there(length, rate):
    warmup, total, step = length
    # Beyond the end theirs would rise again.
    expected = huggingface_rate(
        transformers.get_cosine_schedule_with_warmup,
        rate,
        min(step, total),
        num_warmup_steps=warmup,
        num_training_steps=total,
    )
    ours = Schedule("cosine", rate, 0.0, warmup, total).at(step)
    assert ours == pytest.approx(expected, rel=1e-9, abs=1e-15)


@settings(deadline=None)
@given(lengths(), rates, st.floats(0.0, 0.99), st.floats(0.2, 4.0))
def test_polynomial_equals_huggingface(length, rate, end, power):
    warmup, total, step = length
    expected = huggingface_rate(
        transformers.get_polynomial_decay_schedule_with_warmup,
        rate,
        step,
        num_warmup_steps=warmup,
        num_training_steps=total,
        lr_end=rate * end,
        power=power,
    )
    ours = Schedule("polynomial", rate, rate * end, warmup, total, power).at(step)
    assert ours == pytest.approx(expected, rel=1e-9, abs=1e-15)


@settings(deadline=None)
@given(lengths(), rates)
def test_constant_equals_huggingface(length, rate):
    warmup, total, step = length
    expected = huggingface_rate(
        transformers.get_constant_schedule_with_warmup, rate, step, num_warmup_steps=warmup
    )
    ours = Schedule("constant", rate, rate / 3, warmup, total).at(step)
    assert ours == pytest.approx(expected, rel=1e-12)


@given(lengths(), rates, st.floats(0.0, 1.0))
def test_lr_end_is_where_linear_and_cosine_end(length, rate, share):
    warmup, total, step = length
    end = rate * share
    part = min(1.0, (step - warmup) / (total - warmup))
    shapes = {"linear": 1.0 - part, "cosine": 0.5 * (1.0 + math.cos(math.pi * part))}
    for kind, shape in shapes.items():
        schedule = Schedule(kind, rate, end, warmup, total)
        expected = rate * step / warmup if step < warmup else end + (rate - end) * shape
        assert schedule.at(step) == pytest.approx(expected, rel=1e-9, abs=1e-15)
        assert schedule.at(total) == pytest.approx(end, rel=1e-9, abs=1e-15)


@given(st.integers(0, 10_000), st.integers(1, 10_000), st.floats(0.0, 1.0))
def test_warmup_length(steps, total, ratio):
    assert warmup_steps(steps, None, total) == steps
    assert warmup_steps(steps, ratio, total) == math.ceil(ratio * total) <= total
