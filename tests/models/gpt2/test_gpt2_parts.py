"""GPT-2 in parts: spans of layers, tensor-parallel halves, documents of a row; and its dropout."""

import re
from fnmatch import fnmatchcase

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn

from mindmlm.config.schema.gpt2 import GPT2ModelConfig
from mindmlm.models.dropout import keep_masks
from mindmlm.models.gpt2.dropout_sites import dropout_sites
from mindmlm.models.gpt2.heads import GPT2LMHeadModel
from mindmlm.models.gpt2.model import GPT2Layer, GPT2Part
from mindmlm.models.gpt2.parallel_plan import TENSOR_PLAN, VOCABULARY_PLAN
from mindmlm.models.initialization import initial_value
from mindmlm.models.layers import causal_bias
from mindmlm.models.spans import Span
from mindmlm.parallel.stage import ForwardBackward
from mindmlm.tasks.clm import CausalLMEvaluation, CausalLMLoss
from mindmlm.testing.tiny_gpt2 import (
    NO_DROPOUT,
    VOCAB,
    fill,
    huggingface_gpt2,
    our_logits,
    our_values,
    ours_like,
    random_ids,
)

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.usefixtures("graph_mode")

LAYERS, NOTHING = 4, ms.Tensor([0.0])
LEAVES = ("weight", "bias")
SETTINGS = GPT2ModelConfig(
    hidden_size=24,
    num_hidden_layers=LAYERS,
    num_attention_heads=4,
    max_position_embeddings=32,
    **NO_DROPOUT,
)


def values_of(cell: nn.Cell, seed: int = 5) -> dict[str, np.ndarray]:
    """Random weights by name, biases and norms too."""
    values = {}
    for value in cell.get_parameters():
        values[value.name] = initial_value(value.name, value.shape, seed, 0.2)
        values[value.name] += initial_value(f"{value.name}.noise", value.shape, seed, 0.1)
    return values


def whole_model() -> GPT2LMHeadModel:
    model = GPT2LMHeadModel(SETTINGS, VOCAB)
    return fill(model, values_of(model))


def no_masks(sites: int) -> list[ms.Tensor]:
    return [ms.Tensor(np.ones(1, np.bool_))] * sites


class Run(nn.Cell):
    """Layers of a model of which the rest is not there."""

    def __init__(self, model: GPT2LMHeadModel) -> None:
        super().__init__(auto_prefix=False)
        self.part = GPT2Part(model.gpt2, model.span)

    def construct(self, x, ids):
        return self.part(x, ids, ())


def test_stages_one_after_the_other_are_the_model() -> None:
    whole, ids = whole_model(), random_ids(1, 2, 9)
    expected = our_logits(whole, ids)
    values = {value.name: value.asnumpy() for value in whole.get_parameters()}
    x, names = NOTHING, set()
    for start, stop in ((0, 1), (1, 3), (3, 4)):
        stage = GPT2LMHeadModel(SETTINGS, VOCAB, Span(start, stop, LAYERS))
        fill(stage, values)
        names |= {value.name for value in stage.get_parameters()}
        runner = Run(stage)
        runner.set_train(False)
        x = runner(x, ms.Tensor(ids))
    logits = stage.predict(x).asnumpy().reshape(expected.shape)
    np.testing.assert_allclose(logits, expected, atol=1e-5)
    assert names == set(values)


def test_parameters_of_parts_cover_the_model_and_share_the_words() -> None:
    whole = whole_model()
    parts = [
        {value.name for value in whole.parameters_of(span)} for span in whole.span.single_layers()
    ]
    assert set().union(*parts) == {value.name for value in whole.trainable_params()}
    assert parts[0] & parts[-1] == {"gpt2.embeddings.word"}
    assert not set.intersection(*parts[1:])


def part_of(values: dict[str, np.ndarray], index: int) -> dict[str, np.ndarray]:
    """The weights of one of two tensor-parallel members; what is whole counts once in a sum."""
    plan, parts = TENSOR_PLAN + VOCABULARY_PLAN, {}
    for name, value in values.items():
        axis = plan.axis(name)
        if axis is not None:
            parts[name] = np.array_split(value, 2, axis)[index]
        else:
            parts[name] = value if index == 0 else np.zeros_like(value)
    return parts


def test_tensor_parallel_halves_add_up() -> None:
    whole = whole_model()
    values = {value.name: value.asnumpy() for value in whole.get_parameters()}
    x = ms.Tensor(np.random.default_rng(2).standard_normal((2 * 9, 24)).astype(np.float32))
    bias = causal_bias(9)

    class Sublayers(nn.Cell):
        def __init__(self, layer):
            super().__init__(auto_prefix=False)
            self.layer = layer

        def construct(self, x, bias):
            layer = self.layer
            inner = layer.activation(layer.intermediate(x))
            return layer.attention(x, bias, None), layer.output(inner)

    def run(layer):
        runner = Sublayers(layer)
        runner.set_train(False)
        return [value.asnumpy() for value in runner(x, bias)]

    expected, sums = run(whole.gpt2.layers[2]), [0.0, 0.0]
    for index in range(2):
        layer = GPT2Layer(SETTINGS)
        for name, value in layer.parameters_and_names():
            part = part_of(values, index)[f"gpt2.layers.2.{name}"]
            value.set_data(ms.Tensor(part), slice_shape=True)
        sums = [total + value for total, value in zip(sums, run(layer), strict=True)]
    for total, value in zip(sums, expected, strict=True):
        np.testing.assert_allclose(total, value, atol=1e-5)
    word = values["gpt2.embeddings.word"]
    halves = [x.asnumpy() @ part_of(values, n)["gpt2.embeddings.word"].T for n in range(2)]
    np.testing.assert_allclose(np.concatenate(halves, 1), x.asnumpy() @ word.T, atol=1e-5)


def test_the_plan_names_cells_that_are_there() -> None:
    whole = whole_model()
    cells = dict(whole.cells_and_names())
    plan = TENSOR_PLAN + VOCABULARY_PLAN

    def matching(patterns):
        return {n for n in cells if any(fnmatchcase(n, pattern) for pattern in patterns)}

    layers = [f"gpt2.layers.{number}" for number in range(LAYERS)]
    attention = {f"{layer}.attention" for layer in layers}
    assert matching(plan.enter) == attention | {f"{n}.intermediate" for n in layers} | {"decode"}
    assert matching(plan.leave) == {f"{n}.output.matmul" for n in (*attention, *layers)}
    assert matching(plan.lookups) == {"gpt2.embeddings.lookup_word"}
    names = [value.name for value in whole.get_parameters()]
    for pattern in plan.cut_axes:
        assert any(fnmatchcase(name, pattern) for name in names), pattern
    uncut = {re.sub(r"^gpt2\.layers\.\d+\.", "", name) for name in names if plan.axis(name) is None}
    assert uncut == {
        "gpt2.embeddings.position",
        *(f"{part}.{leaf}" for part in ("attention_norm", "feed_forward_norm") for leaf in LEAVES),
        "attention.output.bias",
        "output.bias",
        "gpt2.final_norm.weight",
        "gpt2.final_norm.bias",
    }


def documents(seed: int):
    """Two rows of several documents, and each document alone in a row with padding."""
    rng = np.random.default_rng(seed)
    layout, length = [[5, 9, 2], [11, 5]], 16
    ids = rng.integers(0, VOCAB, (2, length)).astype(np.int32)
    labels = rng.integers(0, VOCAB, (2, length)).astype(np.int32)
    numbers, places = np.zeros_like(ids), np.zeros_like(ids)
    alone = [np.zeros((5, length), np.int32) for _ in range(2)]
    weights = np.zeros((5, length), np.float32)
    row_of_its_own = 0
    for row, sizes in enumerate(layout):
        begin = 0
        for number, size in enumerate(sizes):
            part = slice(begin, begin + size)
            numbers[row, part], places[row, part] = number, np.arange(size)
            for target, source in zip(alone, (ids, labels), strict=True):
                target[row_of_its_own, :size] = source[row, part]
            weights[row_of_its_own, :size] = 1.0
            begin += size
            row_of_its_own += 1
    together = (ids, labels, np.ones(ids.shape, np.float32), numbers, places)
    return together, (*alone, weights)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_documents_that_are_kept_apart_are_as_if_alone(seed) -> None:
    whole = whole_model()
    together, alone = documents(seed)
    results = []
    for arrays, packed in ((together, True), (alone, False)):
        step = ForwardBackward(CausalLMLoss(whole, packed=packed), whole.trainable_params())
        step.set_train(True)
        masks = no_masks(1 + 3 * LAYERS)
        loss, (_, gradients) = step(NOTHING, ms.Tensor(0.1), *map(ms.Tensor, arrays), *masks)
        evaluation = CausalLMEvaluation(whole, packed=packed)
        evaluation.set_train(False)
        sums = evaluation(NOTHING, *map(ms.Tensor, arrays))
        results.append((loss, sums, gradients))
    (loss, sums, gradients), (own_loss, own_sums, own_gradients) = results
    assert float(loss.asnumpy()) == pytest.approx(float(own_loss.asnumpy()), rel=1e-5)
    found, expected = ([float(v.asnumpy()) for v in part] for part in (sums, own_sums))
    assert found == pytest.approx(expected, rel=1e-5)
    for value, own, parameter in zip(
        gradients, own_gradients, whole.trainable_params(), strict=True
    ):
        relative = 0.0 if parameter.name.endswith("key.bias") else np.linalg.norm(own.asnumpy())
        difference = np.linalg.norm(value.asnumpy() - own.asnumpy())
        assert difference <= 1e-4 * relative + 1e-5, parameter.name
    mixed = our_logits(whole, together[0])[0, 5:]
    apart = our_logits(whole, alone[0][1:2])[0, :9]
    assert np.abs(mixed[:9] - apart).max() > 1e-2


class Masked(torch.nn.Module):
    """Dropout of transformers with a mask from outside."""

    def __init__(self, keep: np.ndarray, probability: float) -> None:
        super().__init__()
        self.factor = torch.from_numpy(keep / np.float32(1.0 - probability))

    def forward(self, x):
        return x * self.factor.reshape(x.shape)


def test_dropout_is_where_transformers_has_it() -> None:
    probabilities = {
        "embedding_dropout_prob": 0.4,
        "attention_probs_dropout_prob": 0.3,
        "hidden_dropout_prob": 0.2,
    }
    theirs = huggingface_gpt2(9, 0.1, attn_implementation="eager")
    ours = ours_like(theirs, **probabilities)
    settings = GPT2ModelConfig(
        hidden_size=24, num_hidden_layers=2, num_attention_heads=3, **probabilities
    )
    blocks = random_ids(4, 3, 14)
    ids, labels = blocks[:, :-1].copy(), blocks[:, 1:].copy()
    sites = dropout_sites(settings, 13)
    masks = keep_masks(sites, 7, 1, np.arange(3))
    modules = [Masked(mask, site.probability) for mask, site in zip(masks, sites, strict=True)]
    theirs.transformer.drop = modules[0]
    for number, layer in enumerate(theirs.transformer.h):
        layer.attn.attn_dropout, layer.attn.resid_dropout, layer.mlp.dropout = modules[
            1 + 3 * number : 4 + 3 * number
        ]
    logits = theirs(input_ids=torch.from_numpy(ids).long()).logits
    expected = torch.nn.functional.cross_entropy(
        logits.reshape(-1, VOCAB), torch.from_numpy(labels).reshape(-1).long()
    )
    expected.backward()
    step = ForwardBackward(CausalLMLoss(ours), ours.trainable_params())
    step.set_train(True)
    batch = (ids, labels, np.ones(ids.shape, np.float32))
    scale = ms.Tensor(np.float32(1.0 / ids.size))
    loss, (_, gradients) = step(NOTHING, scale, *map(ms.Tensor, (*batch, *masks)))
    assert float(loss.asnumpy()) == pytest.approx(expected.item(), rel=1e-5)
    shapes = {value.name: tuple(value.shape) for value in ours.trainable_params()}
    references = our_values({n: v.grad for n, v in theirs.named_parameters()}, shapes)
    for name, gradient in zip(shapes, gradients, strict=True):
        difference = np.linalg.norm(gradient.asnumpy() - references[name])
        assert difference <= 1e-4 * np.linalg.norm(references[name]) + 1e-6, name
