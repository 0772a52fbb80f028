"""Our RoBERTa against Hugging Face's, with the same random weights."""

import mindspore as ms
import numpy as np
import pytest

from mindmlm.config.schema import RobertaModelConfig
from mindmlm.conversion.architectures import ROBERTA
from mindmlm.models.bert.heads import RobertaForMaskedLM
from mindmlm.parallel.stage import ForwardBackward
from mindmlm.tasks.mlm import MaskedLMLoss
from mindmlm.testing.huggingface import from_huggingface, huggingface_name
from mindmlm.testing.tiny_bert import SHAPE
from mindmlm.testing.tiny_roberta import huggingface_roberta

torch = pytest.importorskip("torch")

VOCAB, PREDICTIONS, PAD = 211, 5, 1


def models(their_activation):
    """The same weights there and here."""
    quiet = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    theirs = huggingface_roberta(VOCAB, seed=7, hidden_act=their_activation, **quiet)
    shape = {**SHAPE, "max_position_embeddings": 22, "type_vocab_size": 1, **quiet}
    activation = {"gelu": "gelu", "gelu_new": "gelu_tanh"}[their_activation]
    # transformers' own default of the epsilon.
    settings = RobertaModelConfig(hidden_act=activation, layer_norm_eps=1e-12, **shape)
    ours = RobertaForMaskedLM(settings, VOCAB)
    state = {name: value.detach().numpy() for name, value in theirs.state_dict().items()}
    names = [value.name for value in ours.get_parameters()]
    values = from_huggingface(state, names, ROBERTA)
    for value in ours.get_parameters():
        value.set_data(ms.Tensor(np.array(values[value.name])))
    return theirs, ours


def random_batch(sequence: int, seed: int):
    """Rows with padding; the longest is as long as the positions allow."""
    rng = np.random.default_rng(seed)
    lengths = np.array([sequence, *rng.integers(PREDICTIONS + 2, sequence + 1, 2)])
    mask = (np.arange(sequence) < lengths[:, None]).astype(np.int32)
    ids = np.where(mask, rng.integers(4, VOCAB, mask.shape), PAD).astype(np.int32)
    positions = np.stack(
        [np.sort(rng.choice(length, PREDICTIONS, replace=False)) for length in lengths]
    ).astype(np.int32)
    labels = rng.integers(4, VOCAB, positions.shape).astype(np.int32)
    weights = (rng.random(positions.shape) < 0.8).astype(np.float32)
    weights[0, 0] = 1.0
    return ids, mask, np.zeros_like(ids), positions, labels, weights


# With gelu_new the layers and the head have different activations.
@pytest.mark.parametrize(("activation", "sequence"), [("gelu", 20), ("gelu_new", 9)])
def test_logits_loss_and_gradients_equal_huggingface(graph_mode, activation, sequence):
    theirs, ours = models(activation)
    arrays = random_batch(sequence, seed=sequence)
    ids, mask, _, positions, labels, weights = arrays
    targets = np.full(ids.shape, -100, np.int64)
    targets[np.arange(len(ids))[:, None], positions] = np.where(weights > 0, labels, -100)
    # Positions are left to transformers, which counts them from the padding.
    output = theirs(
        input_ids=torch.tensor(ids, dtype=torch.long),
        attention_mask=torch.tensor(mask, dtype=torch.long),
        labels=torch.tensor(targets),
    )
    theirs.zero_grad()
    output.loss.backward()
    tensors = [ms.Tensor(array) for array in arrays]

    ours.set_train(False)
    logits = ours(*tensors[:4], ()).asnumpy().reshape(len(ids), PREDICTIONS, VOCAB)
    expected = output.logits.detach().numpy()[np.arange(len(ids))[:, None], positions]
    assert np.abs(logits - expected).max() <= 1e-5

    parameters = ours.trainable_params()
    step = ForwardBackward(MaskedLMLoss(ours), parameters)
    step.set_train(True)
    no_masks = [ms.Tensor(np.ones(1, np.bool_))] * (1 + 3 * SHAPE["num_hidden_layers"])
    scale = ms.Tensor(np.float32(1.0 / weights.sum()))
    loss, (_, gradients) = step(ms.Tensor([0.0]), scale, *tensors, *no_masks)
    assert float(loss.asnumpy()) == pytest.approx(output.loss.item(), rel=1e-6)
    theirs_by_name = dict(theirs.named_parameters())
    for parameter, gradient in zip(parameters, gradients, strict=True):
        reference = theirs_by_name[huggingface_name(parameter.name, ROBERTA)].grad.numpy()
        difference = np.linalg.norm(gradient.asnumpy() - reference)
        relative = 0.0 if parameter.name.endswith("key.bias") else np.linalg.norm(reference)
        assert difference <= 1e-4 * relative + 2e-6, (parameter.name, difference, relative)


def test_documents_of_a_row_count_from_the_first_position(graph_mode):
    """Rows that are packed give what each document gives in a row of its own."""
    _, ours = models("gelu")
    ours.set_train(False)
    rng = np.random.default_rng(3)
    documents = [rng.integers(4, VOCAB, size).astype(np.int32) for size in (8, 8)]
    ids = np.concatenate(documents)[None]
    numbers = np.concatenate([np.full(len(d), n) for n, d in enumerate(documents, start=1)])
    places = np.concatenate([np.arange(len(d)) for d in documents])
    packed = [numbers[None].astype(np.int32), places[None].astype(np.int32)]
    positions = np.arange(16, dtype=np.int32)[None]

    def logits(ids, positions, *others):
        arrays = (ids, np.ones_like(ids), np.zeros_like(ids), positions)
        return ours(
            *(ms.Tensor(array) for array in arrays), (), *(ms.Tensor(array) for array in others)
        ).asnumpy()

    together = logits(ids, positions, *packed)
    apart = [logits(d[None], np.arange(len(d), dtype=np.int32)[None]) for d in documents]
    assert np.abs(together - np.concatenate(apart)).max() <= 1e-5
