"""BERT with both heads against Hugging Face's `BertForPreTraining`, with the same weights."""

import mindspore as ms
import numpy as np
import pytest

from mindmlm.config.schema.bert import BertModelConfig
from mindmlm.conversion.architectures import architecture_named
from mindmlm.models.bert.pretraining import BertForPreTraining
from mindmlm.parallel.stage import ForwardBackward
from mindmlm.tasks.pretraining import PretrainingEvaluation, PretrainingLoss
from mindmlm.testing.tiny_bert import SHAPE, VOCAB, huggingface_bert

torch = pytest.importorskip("torch")

NOTHING = ms.Tensor([0.0])
NO_MASKS = [ms.Tensor(np.ones(1, np.bool_))] * (1 + 3 * SHAPE["num_hidden_layers"])
ROWS, LENGTH, PREDICTIONS = 4, 16, 3
# Two scores move together with the bias of a key, and with nothing of [CLS] alone.
WITHOUT_EFFECT = ("key.bias",)


@pytest.fixture(scope="module")
def models(graph_mode):
    theirs = huggingface_bert(
        "BertForPreTraining", 3, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0
    )
    settings = BertModelConfig(**SHAPE, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    ours = BertForPreTraining(settings, VOCAB)
    names = [value.name for value in ours.get_parameters()]
    recipes = architecture_named("BertForPreTraining").table("huggingface").recipes(names)
    assert set(recipes) == set(names)
    state = theirs.state_dict()
    for value in ours.get_parameters():
        value.set_data(ms.Tensor(state[recipes[value.name].theirs].numpy().copy()))
    return theirs, ours, {name: recipe.theirs for name, recipe in recipes.items()}


@pytest.fixture(scope="module")
def batch():
    random = np.random.default_rng(8)
    lengths = np.array([16, 12, 9, 7])
    mask = (np.arange(LENGTH) < lengths[:, None]).astype(np.int32)
    ids = random.integers(5, VOCAB, (ROWS, LENGTH)).astype(np.int32) * mask
    segments = ((np.arange(LENGTH) >= lengths[:, None] // 2) * mask).astype(np.int32)
    positions = np.stack([np.sort(random.choice(n, PREDICTIONS, False)) for n in lengths])
    labels = random.integers(5, VOCAB, positions.shape).astype(np.int32)
    weights = np.array([[1, 1, 1], [1, 1, 0], [1, 0, 0], [1, 1, 0]], np.float32)
    pairs = np.array([0, 1, 1, 0], np.int32)
    known = np.ones(ROWS, np.float32)
    return ids, mask, segments, positions.astype(np.int32), labels, weights, pairs, known


def of_huggingface(theirs, batch):
    ids, mask, segments, positions, labels, weights, pairs, _ = batch
    targets = np.full(ids.shape, -100)
    targets[np.arange(ROWS)[:, None], positions] = np.where(weights > 0, labels, -100)
    tensors = (torch.from_numpy(a.astype(np.int64)) for a in (ids, mask, segments, targets, pairs))
    names = ("input_ids", "attention_mask", "token_type_ids", "labels", "next_sentence_label")
    return theirs(**dict(zip(names, tensors, strict=True)))


def test_logits_loss_and_gradients_equal_huggingface(models, batch):
    theirs, ours, names = models
    output = of_huggingface(theirs, batch)
    theirs.zero_grad()
    output.loss.backward()
    tensors = [ms.Tensor(array) for array in batch]

    ours.set_train(False)
    hidden = ours.bert(None, *tensors[:3], ())
    pairs = ours.predict_pairs(hidden, ROWS).asnumpy()
    assert np.abs(pairs - output.seq_relationship_logits.detach().numpy()).max() <= 1e-5
    logits = ours.predict(hidden, tensors[3]).asnumpy().reshape(ROWS, PREDICTIONS, VOCAB)
    expected = output.prediction_logits.detach().numpy()[np.arange(ROWS)[:, None], batch[3]]
    assert np.abs(logits - expected).max() <= 1e-5

    parameters = ours.parameters_of(ours.span)
    assert {value.name for value in parameters} == set(names)
    step = ForwardBackward(PretrainingLoss(ours), parameters)
    step.set_train(True)
    scale = ms.Tensor([1.0 / batch[5].sum(), 1.0 / ROWS, 1.0 / ROWS], ms.float32)
    terms, (_, gradients) = step(NOTHING, scale, *tensors, *NO_MASKS)
    masked, pair, right = terms.asnumpy()
    assert masked + pair == pytest.approx(output.loss.item(), rel=3e-6)
    assert right == (pairs.argmax(1) == batch[6]).mean()
    theirs_by_name = dict(theirs.named_parameters())
    for parameter, gradient in zip(parameters, gradients, strict=True):
        reference = theirs_by_name[names[parameter.name]].grad.numpy()
        difference = np.linalg.norm(gradient.asnumpy() - reference)
        relative = 0.0 if parameter.name.endswith(WITHOUT_EFFECT) else np.linalg.norm(reference)
        assert difference <= 1e-4 * relative + 1e-6, (parameter.name, difference, relative)


def test_rows_that_fill_up_a_batch_count_nothing(models, batch):
    _, ours, _ = models
    known = np.array([1, 0, 1, 0], np.float32)
    cell = PretrainingEvaluation(ours)
    cell.set_train(False)
    every = [v.asnumpy() for v in cell(NOTHING, *map(ms.Tensor, batch))]
    some = [v.asnumpy() for v in cell(NOTHING, *map(ms.Tensor, (*batch[:-1], known)))]
    assert every[:3] == some[:3]
    assert (every[5], some[5]) == (4.0, 2.0)
    only = [a[[0, 2]] for a in batch]
    expected = [v.asnumpy() for v in cell(NOTHING, *map(ms.Tensor, only))]
    np.testing.assert_allclose(some[3:], expected[3:], rtol=1e-5)
