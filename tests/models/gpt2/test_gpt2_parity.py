"""Our GPT-2 against Hugging Face's, with the same random weights."""

import mindspore as ms
import numpy as np
import pytest

from mindmlm.models.gpt2.heads import GPT2LMHeadModel
from mindmlm.parallel.stage import ForwardBackward
from mindmlm.tasks.clm import CausalLMEvaluation, CausalLMLoss
from mindmlm.testing.tiny_gpt2 import (
    SHAPE,
    VOCAB,
    huggingface_gpt2,
    huggingface_logits,
    our_logits,
    our_values,
    ours_like,
    random_ids,
)

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.usefixtures("graph_mode")

NO_MASKS = [ms.Tensor(np.ones(1, np.bool_))] * (1 + 3 * SHAPE["num_hidden_layers"])
NOTHING = ms.Tensor([0.0])
ACTIVATIONS = {"gelu_tanh": "gelu_new", "gelu": "gelu", "relu": "relu"}


@pytest.fixture(scope="module", params=ACTIVATIONS)
def models(request, graph_mode):
    # Small enough weights for differences of 1e-5 to mean something, as in a trained model.
    theirs = huggingface_gpt2(3, 0.1, activation_function=ACTIVATIONS[request.param])
    return theirs, ours_like(theirs, hidden_act=request.param)


def random_batch(rows: int, length: int):
    """Input, next tokens, and weights of which some are 0."""
    blocks = random_ids(rows * 100 + length, rows, length + 1)
    weights = (np.random.default_rng(length).random((rows, length)) < 0.8).astype(np.float32)
    weights[0, 0] = 1.0
    return blocks[:, :-1].copy(), blocks[:, 1:].copy(), weights


def huggingface_loss(theirs, batch):
    """Mean over the weighted positions."""
    ids, labels, weights = (torch.from_numpy(a) for a in batch)
    logits = theirs(input_ids=ids.long()).logits
    losses = torch.nn.functional.cross_entropy(
        logits.reshape(-1, VOCAB), labels.reshape(-1).long(), reduction="none"
    )
    return (losses * weights.reshape(-1)).sum() / weights.sum()


def test_the_parameters_are_those_of_the_data(models) -> None:
    from mindmlm.conversion.architectures import GPT2

    _, ours = models
    shapes = {value.name: tuple(value.shape) for value in ours.get_parameters()}
    wanted = GPT2.parameters(settings_of(ours), VOCAB)
    assert list(shapes.items()) == list(wanted.items())


def settings_of(ours: GPT2LMHeadModel):
    from mindmlm.config.schema.gpt2 import GPT2ModelConfig

    assert len(ours.gpt2.layers) == SHAPE["num_hidden_layers"]
    return GPT2ModelConfig(**SHAPE)


@pytest.mark.parametrize(("rows", "length"), [(1, 1), (2, 7), (3, 20)])
def test_logits_equal_huggingface(models, rows, length) -> None:
    theirs, ours = models
    ids = random_ids(rows, rows, length)
    difference = our_logits(ours, ids) - huggingface_logits(theirs, ids)
    assert np.abs(difference).max() <= 1e-5


@pytest.mark.parametrize(("rows", "length"), [(2, 7), (3, 20)])
def test_loss_and_gradients_equal_huggingface(models, rows, length) -> None:
    theirs, ours = models
    batch = random_batch(rows, length)
    theirs.zero_grad()
    expected = huggingface_loss(theirs, batch)
    expected.backward()
    parameters = ours.parameters_of(ours.span)
    step = ForwardBackward(CausalLMLoss(ours), parameters)
    step.set_train(True)
    scale = ms.Tensor(np.float32(1.0 / batch[2].sum()))
    loss, (_, gradients) = step(NOTHING, scale, *map(ms.Tensor, batch), *NO_MASKS)
    assert float(loss.asnumpy()) == pytest.approx(expected.item(), rel=1e-6)
    shapes = {value.name: tuple(value.shape) for value in parameters}
    state = {name: value.grad for name, value in theirs.named_parameters()}
    references = our_values(state, shapes)
    assert len(references) == len(list(ours.get_parameters()))
    for parameter, gradient in zip(parameters, gradients, strict=True):
        reference = references[parameter.name]
        difference = np.linalg.norm(gradient.asnumpy() - reference)
        # A bias of the keys moves all scores of a query alike: its gradient is 0 but for rounding.
        relative = 0.0 if parameter.name.endswith("key.bias") else np.linalg.norm(reference)
        assert difference <= 1e-4 * relative + 1e-6, (parameter.name, difference, relative)


def test_evaluation_counts_what_huggingface_predicts(models) -> None:
    theirs, ours = models
    batch = random_batch(3, 20)
    evaluation = CausalLMEvaluation(ours)
    evaluation.set_train(False)
    found = [float(value.asnumpy()) for value in evaluation(NOTHING, *map(ms.Tensor, batch))]
    ids, labels, weights = batch
    hits = huggingface_logits(theirs, ids).argmax(-1) == labels
    with torch.no_grad():
        total = huggingface_loss(theirs, batch).item() * weights.sum()
    assert found == pytest.approx([total, (hits * weights).sum(), weights.sum()], rel=1e-5)


def test_the_losses_of_twenty_adamw_steps_equal_huggingface() -> None:
    """The same weights, batches and optimizer; only this model and its gradients are ours."""
    theirs = huggingface_gpt2(5, 0.1)
    ours = ours_like(theirs)
    parameters = ours.parameters_of(ours.span)
    step = ForwardBackward(CausalLMLoss(ours), parameters)
    step.set_train(True)
    here = [torch.nn.Parameter(torch.from_numpy(value.asnumpy().copy())) for value in parameters]
    settings = {"lr": 3e-3, "weight_decay": 0.01}
    optimizers = (
        torch.optim.AdamW(theirs.parameters(), **settings),
        torch.optim.AdamW(here, **settings),
    )
    losses = []
    for number in range(20):
        batch = random_batch(2 + number % 2, 16)
        scale = ms.Tensor(np.float32(1.0 / batch[2].sum()))
        expected = huggingface_loss(theirs, batch)
        optimizers[0].zero_grad()
        expected.backward()
        optimizers[0].step()
        loss, (_, gradients) = step(NOTHING, scale, *map(ms.Tensor, batch), *NO_MASKS)
        losses.append((float(loss.asnumpy()), expected.item()))
        for value, gradient in zip(here, gradients, strict=True):
            value.grad = torch.from_numpy(gradient.asnumpy())
        optimizers[1].step()
        for parameter, value in zip(parameters, here, strict=True):
            parameter.set_data(ms.Tensor(value.detach().numpy()))
    found, expected_losses = np.array(losses).T
    assert expected_losses[-1] < expected_losses[0] - 0.3
    np.testing.assert_allclose(found, expected_losses, rtol=1e-5)


def test_what_comes_later_changes_nothing_before() -> None:
    ours = ours_like(huggingface_gpt2(1))
    ids = random_ids(8, 2, 12)
    changed = ids.copy()
    changed[:, 7:] = (changed[:, 7:] + 5) % VOCAB
    before, after = our_logits(ours, ids), our_logits(ours, changed)
    np.testing.assert_array_equal(before[:, :7], after[:, :7])
    assert np.abs(before[:, 7:] - after[:, 7:]).max() > 1e-2


def test_float16_products_stay_close_to_float32() -> None:
    theirs, ids = huggingface_gpt2(2, 0.1), random_ids(4)
    full, low = (
        our_logits(ours_like(theirs, compute_dtype=d), ids) for d in ("float32", "float16")
    )
    assert low.dtype == np.float32
    assert 0 < np.abs(full - low).max() <= 2e-2 * np.abs(full).max()
