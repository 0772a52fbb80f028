"""Our AdamW against torch.optim.AdamW."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Parameter

from mindmlm.kernels import operators
from mindmlm.optim.adamw import AdamW
from mindmlm.optim.moments import FIRST_MOMENT, SECOND_MOMENT, MomentSettings, is_decayed

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.usefixtures("graph_mode")

SHAPES = {
    "layer.dense.weight": (17, 9),
    "layer.dense.bias": (17,),
    "layer.norm.weight": (9,),
    "layer.norm.bias": (9,),
    "word": (31, 9),
}
STEPS = 20


def torch_optimizer(values, settings):
    groups = [
        {
            "params": [values[name] for name in SHAPES if is_decayed(name) is decayed],
            "weight_decay": settings.weight_decay if decayed else 0.0,
        }
        for decayed in (True, False)
    ]
    return torch.optim.AdamW(
        groups, lr=1.0, betas=(settings.beta1, settings.beta2), eps=settings.eps
    )


def test_only_biases_and_norms_are_not_decayed():
    assert [name for name in SHAPES if is_decayed(name)] == ["layer.dense.weight", "word"]
    assert not is_decayed("bert.layers.0.attention_norm.weight")
    assert not is_decayed("head.bias")


@pytest.mark.parametrize(
    "settings",
    [MomentSettings(), MomentSettings(beta1=0.8, beta2=0.95, eps=1e-8, weight_decay=0.3)],
    ids=["defaults", "others"],
)
@pytest.mark.parametrize("fused", [True, False], ids=["fused", "plain"])
def test_twenty_updates_equal_torch(settings, fused, monkeypatch):
    if not fused:
        monkeypatch.setattr(operators, "_loads", lambda: False)
    rng = np.random.default_rng(11)
    start = {name: rng.standard_normal(s).astype(np.float32) for name, s in SHAPES.items()}
    ours = [Parameter(ms.Tensor(value), name=name) for name, value in start.items()]
    theirs = {name: torch.tensor(v, dtype=torch.float64) for name, v in start.items()}
    optimizer = AdamW(ours, settings)
    assert optimizer.fused is fused
    reference = torch_optimizer(theirs, settings)
    for step in range(STEPS):
        learning_rate = float(rng.uniform(1e-4, 1e-2))
        # Below one: what a clipped or unscaled gradient is multiplied by.
        factor = float(np.float32(rng.uniform(0.01, 1.0)))
        gradients = {
            name: (rng.standard_normal(s) * 10.0 ** rng.integers(-4, 2)).astype(np.float32)
            for name, s in SHAPES.items()
        }
        optimizer(
            *optimizer.scalars(learning_rate, step),
            ms.Tensor(factor, ms.float32),
            *(ms.Tensor(gradient) for gradient in gradients.values()),
        ).asnumpy()
        for group in reference.param_groups:
            group["lr"] = learning_rate
        for name, value in theirs.items():
            value.grad = torch.tensor(gradients[name].astype(np.float64) * factor)
        reference.step()
    for parameter in ours:
        expected = theirs[parameter.name].numpy()
        np.testing.assert_allclose(parameter.asnumpy(), expected, rtol=1e-6, atol=1e-6)
    moments = {value.name: value.asnumpy() for value in optimizer.state()}
    for name, value in theirs.items():
        state = reference.state[value]
        np.testing.assert_allclose(
            moments[FIRST_MOMENT + name], state["exp_avg"].numpy(), rtol=1e-5, atol=1e-6
        )
        # The kernel takes 1 - beta2 in float32: off by 1.3e-5 for 0.999.
        np.testing.assert_allclose(
            moments[SECOND_MOMENT + name], state["exp_avg_sq"].numpy(), rtol=2e-5, atol=1e-6
        )
