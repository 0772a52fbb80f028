"""Our BERT against Hugging Face's, with the same random weights."""

import mindspore as ms
import numpy as np
import pytest

from mindmlm.config.schema.bert import BertModelConfig
from mindmlm.models.bert.heads import BertForMaskedLM
from mindmlm.parallel.stage import ForwardBackward
from mindmlm.tasks.mlm import MaskedLMLoss
from mindmlm.testing.huggingface import from_huggingface, huggingface_name

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

VOCAB, PREDICTIONS = 211, 5
SHAPE = {
    "hidden_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 96,
    "max_position_embeddings": 64,
    "type_vocab_size": 2,
}


@pytest.fixture(scope="module", params=["gelu", "gelu_tanh", "relu"])
def models(request, graph_mode):
    torch.manual_seed(7)
    activation = {"gelu": "gelu", "gelu_tanh": "gelu_new", "relu": "relu"}[request.param]
    config = transformers.BertConfig(
        vocab_size=VOCAB,
        hidden_act=activation,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        initializer_range=0.1,
        **SHAPE,
    )
    theirs = transformers.BertForMaskedLM(config).eval()
    for name, value in theirs.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(value, std=0.1)
    settings = BertModelConfig(
        hidden_act=request.param,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        **SHAPE,
    )
    ours = BertForMaskedLM(settings, VOCAB)
    state = {name: value.detach().numpy() for name, value in theirs.state_dict().items()}
    values = from_huggingface(state, [value.name for value in ours.get_parameters()])
    for value in ours.get_parameters():
        value.set_data(ms.Tensor(values[value.name]))
    return theirs, ours


def random_batch(batch: int, sequence: int, seed: int):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(PREDICTIONS + 1, sequence + 1, batch)
    mask = (np.arange(sequence) < lengths[:, None]).astype(np.int32)
    ids = rng.integers(5, VOCAB, (batch, sequence)).astype(np.int32) * mask
    segments = ((np.arange(sequence) >= lengths[:, None] // 2) * mask).astype(np.int32)
    positions = np.stack(
        [np.sort(rng.choice(length, PREDICTIONS, replace=False)) for length in lengths]
    ).astype(np.int32)
    labels = rng.integers(5, VOCAB, positions.shape).astype(np.int32)
    weights = (rng.random(positions.shape) < 0.8).astype(np.float32)
    weights[0, 0] = 1.0
    return ids, mask, segments, positions, labels, weights


def huggingface_forward(theirs, batch):
    ids, mask, segments, positions, labels, weights = batch
    targets = np.full(ids.shape, -100, np.int64)
    rows = np.arange(len(ids))[:, None]
    targets[rows, positions] = np.where(weights > 0, labels, -100)
    to_torch = lambda array: torch.from_numpy(array.astype(np.int64))  # noqa: E731
    return theirs(
        input_ids=to_torch(ids),
        attention_mask=to_torch(mask),
        token_type_ids=to_torch(segments),
        labels=to_torch(targets),
    )


@pytest.mark.parametrize(("batch", "sequence"), [(2, 8), (3, 17), (4, 64)])
def test_logits_loss_and_gradients_equal_huggingface(models, batch, sequence):
    theirs, ours = models
    arrays = random_batch(batch, sequence, seed=batch * 100 + sequence)
    output = huggingface_forward(theirs, arrays)
    theirs.zero_grad()
    output.loss.backward()
    tensors = [ms.Tensor(array) for array in arrays]

    ours.set_train(False)
    logits = ours(*tensors[:4], ()).asnumpy().reshape(batch, PREDICTIONS, VOCAB)
    expected = output.logits.detach().numpy()[np.arange(batch)[:, None], arrays[3]]
    assert np.abs(logits - expected).max() <= 1e-5

    parameters = ours.trainable_params()
    step = ForwardBackward(MaskedLMLoss(ours), parameters)
    step.set_train(True)
    no_masks = [ms.Tensor(np.ones(1, np.bool_))] * (1 + 3 * SHAPE["num_hidden_layers"])
    scale = ms.Tensor(np.float32(1.0 / arrays[5].sum()))
    loss, (_, gradients) = step(ms.Tensor([0.0]), scale, *tensors, *no_masks)
    assert float(loss.asnumpy()) == pytest.approx(output.loss.item(), rel=1e-6)
    theirs_by_name = dict(theirs.named_parameters())
    for parameter, gradient in zip(parameters, gradients, strict=True):
        reference = theirs_by_name[huggingface_name(parameter.name)].grad.numpy()
        difference = np.linalg.norm(gradient.asnumpy() - reference)
        relative = 0.0 if parameter.name.endswith("key.bias") else np.linalg.norm(reference)
        assert difference <= 1e-4 * relative + 1e-7, (parameter.name, difference, relative)


def test_pooler_equals_huggingface(graph_mode):
    torch.manual_seed(11)
    theirs = transformers.BertModel(
        transformers.BertConfig(vocab_size=VOCAB, initializer_range=0.1, **SHAPE)
    ).eval()
    ours = BertForMaskedLM(BertModelConfig(add_pooling_layer=True, **SHAPE), VOCAB)
    state = {f"bert.{name}": value.detach().numpy() for name, value in theirs.state_dict().items()}
    for value in ours.bert.get_parameters():
        value.set_data(ms.Tensor(state[huggingface_name(value.name)]))
    ids, mask, segments, *_ = random_batch(3, 12, seed=5)
    expected = theirs(*(torch.from_numpy(a.astype(np.int64)) for a in (ids, mask, segments)))
    ours.set_train(False)
    encoded = ours.bert(None, *(ms.Tensor(array) for array in (ids, mask, segments)), ())
    pooled = ours.bert.pool(encoded, 3).asnumpy()
    assert np.abs(pooled - expected.pooler_output.detach().numpy()).max() <= 1e-5
    assert not any("pooler" in value.name for value in ours.trainable_params())
