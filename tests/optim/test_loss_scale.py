"""The dynamic loss scale, step by step."""

from hypothesis import given
from hypothesis import strategies as st

from mindmlm.optim.loss_scale import LossScale


def test_it_halves_at_an_overflow_and_doubles_after_a_window_of_good_steps():
    scale = LossScale(value=1024.0, factor=2.0, window=3)
    seen = []
    for overflow in [True, False, False, True, False, False, False, False, False, False]:
        scale.update(overflow)
        seen.append(scale.value)
    assert seen == [512.0, 512.0, 512.0, 256.0, 256.0, 256.0, 512.0, 512.0, 512.0, 1024.0]
    assert scale.overflow_count == 2


@given(st.lists(st.booleans(), max_size=200))
def test_a_fixed_scale_only_counts(overflows):
    scale = LossScale(value=128.0)
    for overflow in overflows:
        scale.update(overflow)
    assert scale.value == 128.0
    assert scale.overflow_count == sum(overflows)


@given(st.lists(st.booleans(), max_size=200), st.integers(2, 8), st.integers(1, 5))
def test_it_never_falls_below_one(overflows, factor, window):
    scale = LossScale(value=16.0, factor=float(factor), window=window)
    for overflow in overflows:
        before = scale.value
        scale.update(overflow)
        assert scale.value >= 1.0
        if overflow:
            assert scale.value == max(1.0, before / factor)
        else:
            assert scale.value in (before, before * factor)
