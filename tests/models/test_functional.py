"""The hand-written operators against their definitions in float64."""

import math

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn, ops

from mindmlm.kernels import operators
from mindmlm.models.attention import Attend
from mindmlm.models.functional import (
    AddBias,
    DropMasked,
    Gelu,
    GeluTanh,
    JoinHeads,
    Normalize,
    Softmax,
    SplitHeads,
)
from mindmlm.models.losses import WeightedCrossEntropy

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.usefixtures("graph_mode")


@pytest.fixture(autouse=True, params=["fused", "plain"])
def form(request, monkeypatch):
    """Every test is of both forms of the operators."""
    if request.param == "plain":
        monkeypatch.setattr(operators, "_loads", lambda: False)
    assert operators.kernels_in_use() is (request.param == "fused")
    return request.param


class First(nn.Cell):
    """Item 0 of a Cell that keeps more for its gradient."""

    def __init__(self, cell):
        super().__init__()
        self.cell = cell

    def construct(self, *inputs):
        return self.cell(*inputs)[0]


class Gradients(nn.Cell):
    """Gradients of all inputs, given the gradient of the output."""

    def __init__(self, cell):
        super().__init__()
        self.cell = cell
        self.gradient = ops.GradOperation(get_all=True, sens_param=True)

    def construct(self, *inputs):
        return self.gradient(self.cell)(*inputs)


def gradients_of(cell, inputs, dout):
    tensors = [ms.Tensor(array) for array in (*inputs, dout)]
    return [gradient.asnumpy() for gradient in Gradients(cell)(*tensors)]


def torch_gradients(function, inputs, dout):
    leaves = [torch.tensor(array, dtype=torch.float64, requires_grad=True) for array in inputs]
    function(*leaves).backward(torch.tensor(dout, dtype=torch.float64))
    return [leaf.grad.numpy() for leaf in leaves]


def test_gelu_is_within_1e_6_of_its_definition_everywhere():
    x = np.concatenate([np.linspace(-12, 12, 200_001), np.linspace(-500, 500, 5001)])
    x = x.astype(np.float32)
    exact = np.array([0.5 * float(v) * math.erfc(-float(v) / math.sqrt(2)) for v in x])
    ours = Gelu()(ms.Tensor(x))[0].asnumpy()
    assert np.abs(ours - exact).max() <= 1e-6


def test_tanh_gelu_is_within_1e_6_of_its_definition():
    x = np.linspace(-12, 12, 200_001).astype(np.float32)
    wide = x.astype(np.float64)
    exact = 0.5 * wide * (1 + np.tanh(math.sqrt(2 / math.pi) * (wide + 0.044715 * wide**3)))
    assert np.abs(GeluTanh()(ms.Tensor(x))[0].asnumpy() - exact).max() <= 1e-6


@pytest.mark.parametrize(("kind", "approximate"), [(Gelu, "none"), (GeluTanh, "tanh")])
def test_gelu_gradients(kind, approximate):
    rng = np.random.default_rng(3)
    x = (rng.standard_normal((31, 17)) * 3).astype(np.float32)
    dout = rng.standard_normal(x.shape).astype(np.float32)
    function = lambda a: torch.nn.functional.gelu(a, approximate=approximate)  # noqa: E731
    (expected,) = torch_gradients(function, [x], dout)
    np.testing.assert_allclose(gradients_of(First(kind()), [x], dout)[0], expected, atol=3e-5)


@pytest.mark.parametrize("kind", [Gelu, GeluTanh])
def test_what_is_not_finite_stays_so(kind):
    x = np.array([np.nan, np.inf, 0.0], np.float32)
    y = kind()(ms.Tensor(x))[0].asnumpy()
    assert np.isnan(y[0])
    assert np.isinf(y[1]) or np.isnan(y[1])
    assert y[2] == 0.0


def test_dropping_and_its_gradient():
    rng = np.random.default_rng(9)
    x, dout = rng.standard_normal((2, 70, 33)).astype(np.float32)
    keep = rng.random(x.shape) < 0.7
    kept = np.where(keep, np.float32(1.25), np.float32(0))
    cell = DropMasked(1.25)
    np.testing.assert_array_equal(cell(ms.Tensor(x), ms.Tensor(keep)).asnumpy(), x * kept)
    np.testing.assert_array_equal(gradients_of(cell, [x, keep], dout)[0], dout * kept)


def test_normalize_equals_layer_norm():
    rng = np.random.default_rng(4)
    x = (rng.standard_normal((13, 40)) * 5 + 3).astype(np.float32)
    weight, bias = rng.standard_normal((2, 40)).astype(np.float32)
    dout = rng.standard_normal(x.shape).astype(np.float32)
    function = lambda a, w, b: torch.nn.functional.layer_norm(a, (40,), w, b, 1e-12)  # noqa: E731
    cell = First(Normalize(1e-12))
    forward = cell(*map(ms.Tensor, (x, weight, bias))).asnumpy()
    expected = function(*(torch.tensor(v, dtype=torch.float64) for v in (x, weight, bias)))
    np.testing.assert_allclose(forward, expected.numpy(), atol=2e-5)
    for ours, theirs in zip(
        gradients_of(cell, [x, weight, bias], dout),
        torch_gradients(function, [x, weight, bias], dout),
        strict=True,
    ):
        np.testing.assert_allclose(ours, theirs, atol=5e-5)


def test_softmax_and_its_gradient():
    rng = np.random.default_rng(5)
    x = (rng.standard_normal((2, 3, 7, 9)) * 4).astype(np.float32)
    dout = rng.standard_normal(x.shape).astype(np.float32)
    function = lambda a: torch.softmax(a, -1)  # noqa: E731
    forward = Softmax()(ms.Tensor(x)).asnumpy()
    np.testing.assert_allclose(forward, function(torch.tensor(x)).numpy(), atol=1e-6)
    (expected,) = torch_gradients(function, [x], dout)
    np.testing.assert_allclose(gradients_of(Softmax(), [x], dout)[0], expected, atol=1e-5)


@pytest.mark.parametrize("heads", [1, 2, 5])
def test_heads_are_split_and_joined_as_by_a_transposition(heads):
    rng = np.random.default_rng(heads)
    x, dout = (rng.standard_normal((3, 4, heads * 6)).astype(np.float32) for _ in range(2))
    split = x.reshape(3, 4, heads, 6).transpose(0, 2, 1, 3)
    assert np.array_equal(SplitHeads(6)(ms.Tensor(x)).asnumpy(), split)
    assert np.array_equal(JoinHeads()(ms.Tensor(split)).asnumpy(), x)
    dsplit = dout.reshape(3, 4, heads, 6).transpose(0, 2, 1, 3)
    assert np.array_equal(gradients_of(SplitHeads(6), [x], dsplit)[0], dout)
    assert np.array_equal(gradients_of(JoinHeads(), [split], dout)[0], dsplit)


def test_add_bias_and_its_gradient():
    rng = np.random.default_rng(6)
    x, dout = rng.standard_normal((2, 300, 12)).astype(np.float32)
    bias = rng.standard_normal(12).astype(np.float32)
    np.testing.assert_array_equal(AddBias()(ms.Tensor(x), ms.Tensor(bias)).asnumpy(), x + bias)
    dx, dbias = gradients_of(AddBias(), [x, bias], dout)
    np.testing.assert_array_equal(dx, dout)
    np.testing.assert_allclose(dbias, dout.sum(0, dtype=np.float64), atol=1e-4)


def test_cross_entropy_counts_only_weighted_rows():
    rng = np.random.default_rng(8)
    logits = (rng.standard_normal((9, 50)) * 6).astype(np.float32)
    labels = rng.integers(0, 50, 9).astype(np.int32)
    weights = np.array([1, 0, 1, 1, 0, 1, 1, 1, 0], np.float32)

    def function(values):
        losses = torch.nn.functional.cross_entropy(
            values, torch.tensor(labels, dtype=torch.long), reduction="none"
        )
        return (losses * torch.tensor(weights, dtype=torch.float64)).sum()

    cell = First(WeightedCrossEntropy())
    loss = cell(ms.Tensor(logits), ms.Tensor(labels), ms.Tensor(weights))
    expected = function(torch.tensor(logits, dtype=torch.float64)).item()
    assert float(loss.asnumpy()) == pytest.approx(expected, rel=1e-6)
    dlogits = gradients_of(cell, [logits, labels, weights], np.float32(2.0))[0]
    (reference,) = torch_gradients(function, [logits], np.float32(2.0))
    np.testing.assert_allclose(dlogits, reference, atol=2e-5)
    assert not dlogits[weights == 0].any()


def attention_problem(rng, batch, sequence, heads, size, kind):
    """Query, key, value, bias and keep of random attention."""
    parts = [
        rng.standard_normal((batch * sequence, heads * size)).astype(np.float32) for _ in "qkv"
    ]
    if kind == "causal":
        hidden = np.triu(np.ones((1, 1, sequence, sequence)), 1)
    elif kind == "padding":
        lengths = rng.integers(1, sequence + 1, batch)
        hidden = (np.arange(sequence) >= lengths[:, None])[:, None, None, :]
    else:
        documents = np.sort(rng.integers(1, 4, (batch, sequence)))
        hidden = (documents[:, None, :] != documents[:, :, None])[:, None]
    keep = rng.random((batch, heads, sequence, sequence)) < 0.8
    return parts, (hidden * np.float32(-1e9)).astype(np.float32), keep


@pytest.mark.parametrize("kind", ["causal", "padding", "documents"])
@pytest.mark.parametrize(
    ("batch", "sequence", "heads", "size"), [(2, 5, 1, 3), (1, 41, 2, 20), (3, 80, 2, 64)]
)
@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_attention_equals_its_definition(form, kind, batch, sequence, heads, size, dropout):
    if form == "plain":
        pytest.skip("the plain form is in the attention layer; see test_bert_parity")
    rng = np.random.default_rng(sequence)
    parts, bias, keep = attention_problem(rng, batch, sequence, heads, size, kind)
    dout = rng.standard_normal(parts[0].shape).astype(np.float32)

    def split(x):
        return x.reshape(batch, sequence, heads, size).transpose(1, 2)

    def function(query, key, value):
        scores = split(query) @ split(key).transpose(2, 3) / math.sqrt(size) + torch.tensor(bias)
        chances = torch.softmax(scores, -1)
        if dropout:
            chances = chances * torch.tensor(keep) / (1 - dropout)
        return (chances @ split(value)).transpose(1, 2).reshape(query.shape)

    cell = Attend(size, dropout)
    expected = function(*(torch.tensor(part, dtype=torch.float64) for part in parts)).numpy()
    inputs = [*parts, bias, keep]
    for training in (True, False) if dropout == 0.0 else (True,):
        cell.set_train(training)
        forward = cell(*map(ms.Tensor, inputs)).asnumpy()
        np.testing.assert_allclose(forward, expected, atol=2e-6)
        ours = gradients_of(cell, inputs, dout)[:3]
        for gradient, theirs in zip(ours, torch_gradients(function, parts, dout), strict=True):
            np.testing.assert_allclose(gradient, theirs, atol=1e-5)
