"""Documents packed into one row give what each gives alone: logits, loss and gradients."""

import mindspore as ms
import numpy as np
import pytest

from mindmlm.config.schema.bert import BertModelConfig
from mindmlm.models.bert.heads import BertForMaskedLM
from mindmlm.models.initialization import initial_value
from mindmlm.parallel.stage import ForwardBackward
from mindmlm.tasks.mlm import MaskedLMEvaluation, MaskedLMLoss

VOCAB, LENGTH, CLS, SEP = 97, 24, 2, 3


@pytest.fixture(scope="module", params=[True, False], ids=["post_norm", "pre_norm"])
def model(request, graph_mode):
    settings = BertModelConfig(
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=LENGTH,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        post_layernorm_residual=request.param,
    )
    model = BertForMaskedLM(settings, VOCAB)
    for value in model.get_parameters():
        value.set_data(ms.Tensor(initial_value(value.name, value.shape, 5, 0.3)))
    return model


def documents_and_rows(seed: int):
    """Two packed rows, and every document as a row of its own; one prediction a document."""
    rng = np.random.default_rng(seed)
    layout = [[6, 9, 5], [11, 7]]
    packed = [np.zeros((2, LENGTH), np.int32) for _ in range(4)]
    alone = [np.zeros((5, LENGTH), np.int32) for _ in range(2)]
    places = np.zeros((2, 3), np.int32)
    weights = np.zeros((2, 3), np.float32)
    own_places = np.zeros((5, 1), np.int32)
    number = 0
    for row, sizes in enumerate(layout):
        begin = 0
        for which, size in enumerate(sizes):
            tokens = [CLS, *rng.integers(5, VOCAB, size - 2).tolist(), SEP]
            part = slice(begin, begin + size)
            packed[0][row, part], packed[1][row, part] = tokens, 1
            packed[2][row, part], packed[3][row, part] = which + 1, np.arange(size)
            alone[0][number, :size], alone[1][number, :size] = tokens, 1
            own_places[number] = rng.integers(1, size - 1)
            places[row, which] = begin + own_places[number, 0]
            weights[row, which] = 1.0
            begin += size
            number += 1
    labels = rng.integers(5, VOCAB, (2, 3)).astype(np.int32)
    zeros = np.zeros_like
    together = (packed[0], packed[1], zeros(packed[0]), places, labels, weights)
    own_labels = labels[weights > 0][:, None]
    own_weights = np.ones((5, 1), np.float32)
    separate = (alone[0], alone[1], zeros(alone[0]), own_places, own_labels, own_weights)
    return together, (packed[2], packed[3]), separate


def tensors(arrays):
    return [ms.Tensor(array) for array in arrays]


def logits_of(cell, arrays, packing=()):
    class Logits(ms.nn.Cell):
        def __init__(self):
            super().__init__(auto_prefix=False)
            self.model = cell

        def construct(self, ids, mask, segments, places, documents=None, positions=None):
            return self.model(ids, mask, segments, places, (), documents, positions)

    runner = Logits()
    runner.set_train(False)
    return runner(*tensors(arrays[:4]), *tensors(packing)).asnumpy()


@pytest.mark.parametrize("seed", [0, 1])
def test_packed_documents_do_not_see_each_other(model, seed):
    together, packing, separate = documents_and_rows(seed)
    found = logits_of(model, together, packing)[together[5].ravel() > 0]
    expected = logits_of(model, separate)
    assert np.abs(found - expected).max() <= 1e-5 * max(1.0, np.abs(expected).max())
    mixed = logits_of(model, together)[together[5].ravel() > 0]
    assert np.abs(mixed - expected).max() > 1e-2


def test_loss_gradients_and_evaluation_are_those_of_the_documents(model):
    together, packing, separate = documents_and_rows(2)
    scale = ms.Tensor(np.float32(0.2))
    keeps = tensors([np.ones(1, np.bool_)] * 10)
    results = []
    for arrays, extra in ((together, packing), (separate, ())):
        step = ForwardBackward(MaskedLMLoss(model, packed=bool(extra)), model.trainable_params())
        step.set_train(True)
        loss, (_, gradients) = step(
            ms.Tensor([0.0]), scale, *tensors(arrays), *tensors(extra), *keeps
        )
        results.append((float(loss.asnumpy()), [value.asnumpy() for value in gradients]))
    (loss, gradients), (own_loss, own_gradients) = results
    assert loss == pytest.approx(own_loss, rel=1e-5)
    for value, own in zip(gradients, own_gradients, strict=True):
        assert np.linalg.norm(value - own) <= 1e-4 * np.linalg.norm(own) + 1e-6

    sums = []
    for arrays, extra in ((together, packing), (separate, ())):
        evaluation = MaskedLMEvaluation(model, packed=bool(extra))
        evaluation.set_train(False)
        found = evaluation(ms.Tensor([0.0]), *tensors(arrays), *tensors(extra))
        sums.append([float(value.asnumpy()) for value in found])
    assert sums[0] == pytest.approx(sums[1], rel=1e-5)
