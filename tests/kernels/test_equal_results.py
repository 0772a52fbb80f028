"""A GPT-2 with the fused kernels and one without them write the same; products are products."""

import mindspore as ms
import numpy as np
import pytest

from mindmlm.inference.cached_stage import CachedStage
from mindmlm.inference.generation.decoder import PaddedPrompts
from mindmlm.kernels import operators
from mindmlm.models.products import Product, ProductWithBias
from mindmlm.testing.tiny_gpt2 import huggingface_gpt2, ours_like

pytestmark = pytest.mark.usefixtures("graph_mode")


def logits_of(model, prompts):
    """Of the prompts and of four more tokens."""
    stage = CachedStage(model)
    found = [stage.prefill(ms.Tensor(0.0, ms.float32), prompts)]
    for step in range(4):
        tokens = np.arange(len(prompts.rows), dtype=np.int32) + step
        found.append(stage.step(ms.Tensor(0.0, ms.float32), tokens))
    return stage, [logits.asnumpy() for logits in found]


@pytest.mark.parametrize("activation", ["gelu", "gelu_tanh", "relu"])
@pytest.mark.parametrize(("sequences", "inner"), [(1, 96), (3, 50), (9, 800)])
def test_writing_on(monkeypatch, sequences, inner, activation):
    rng = np.random.default_rng(sequences)
    ids = rng.integers(0, 200, (sequences, 6)).astype(np.int32)
    mask = np.ones_like(ids)
    mask[0, : 2 if sequences > 1 else 0] = 0
    prompts = PaddedPrompts(ids, mask, np.arange(sequences, dtype=np.int32), 8)
    theirs = huggingface_gpt2(n_inner=inner)
    settings = {"intermediate_size": inner, "hidden_act": activation}
    stage, fused = logits_of(ours_like(theirs, **settings), prompts)
    assert stage._step.fused
    monkeypatch.setattr(operators, "_loads", lambda: False)
    stage, plain = logits_of(ours_like(theirs, **settings), prompts)
    assert not stage._step.fused
    for found, expected in zip(fused, plain, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("rows", [1, 3, 8, 9, 100, 384, 385])
@pytest.mark.parametrize(
    ("inner", "outputs"), [(5, 1), (48, 33), (385, 70), (800, 3100), (1600, 40)]
)
def test_products(rows, inner, outputs):
    rng = np.random.default_rng(rows + inner)
    x, weight = rng.standard_normal((rows, inner)), rng.standard_normal((outputs, inner))
    bias, dy = rng.standard_normal(outputs), rng.standard_normal((rows, outputs))
    tensors = [ms.Tensor(array.astype(np.float32)) for array in (x, weight, bias, dy)]
    expected = x @ weight.T
    plain, biased = Product(), ProductWithBias()
    for found, wanted in (
        (plain(*tensors[:2]), expected),
        (biased(*tensors[:3]), expected + bias),
        (plain.input_gradient(tensors[3], tensors[1]), dy @ weight),
        (plain.weight_gradient(tensors[3], tensors[0]), dy.T @ x),
    ):
        np.testing.assert_allclose(found.asnumpy(), wanted, atol=2e-5 * np.sqrt(inner + outputs))
