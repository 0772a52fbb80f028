"""BERT's other forms: pre-layer-norm, pooler, float16, PyNative, padding, spare vocabulary rows."""

import mindspore as ms
import numpy as np
import pytest

from mindmlm.config.schema.bert import BertModelConfig
from mindmlm.kernels import operators
from mindmlm.models.bert.heads import BertForMaskedLM
from mindmlm.models.initialization import initial_value
from mindmlm.parallel.stage import ForwardBackward
from mindmlm.tasks.mlm import MaskedLMLoss

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.usefixtures("graph_mode")

VOCAB, HEADS, LAYERS = 61, 3, 2


def make_model(vocab=VOCAB, **changes):
    settings = BertModelConfig(
        hidden_size=24,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        intermediate_size=40,
        max_position_embeddings=32,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        **changes,
    )
    model = BertForMaskedLM(settings, vocab)
    for value in model.get_parameters():
        start = initial_value(value.name, value.shape, 3, 0.2)
        if value.name.endswith(("bias", "norm.weight")):
            start = start + initial_value(f"{value.name}.noise", value.shape, 3, 0.1)
        value.set_data(ms.Tensor(start))
    return model


def random_batch(batch=3, sequence=11, predictions=4):
    rng = np.random.default_rng(17)
    lengths = rng.integers(predictions + 1, sequence + 1, batch)
    lengths[0] = sequence
    mask = (np.arange(sequence) < lengths[:, None]).astype(np.int32)
    ids = (rng.integers(5, VOCAB, (batch, sequence)) * mask).astype(np.int32)
    segments = ((np.arange(sequence) > 3) * mask).astype(np.int32)
    positions = np.stack([rng.choice(n, predictions, replace=False) for n in lengths])
    labels = rng.integers(5, VOCAB, positions.shape)
    weights = (rng.random(positions.shape) < 0.7).astype(np.float32)
    return ids, mask, segments, positions.astype(np.int32), labels.astype(np.int32), weights


def logits_of(model, batch):
    model.set_train(False)
    return model(*map(ms.Tensor, batch[:4]), ()).asnumpy()


def loss_and_gradients(model, batch):
    parameters = model.trainable_params()
    step = ForwardBackward(MaskedLMLoss(model), parameters)
    step.set_train(True)
    keeps = [ms.Tensor(np.ones(1, np.bool_))] * (1 + 3 * LAYERS)
    loss, (_, gradients) = step(
        ms.Tensor([0.0]), ms.Tensor(0.25, ms.float32), *map(ms.Tensor, batch), *keeps
    )
    names = [value.name for value in parameters]
    return float(loss.asnumpy()), {
        name: gradient.asnumpy() for name, gradient in zip(names, gradients, strict=True)
    }


class PreNormReference:
    """The pre-layer-norm encoder written down once more, in torch and float64."""

    def __init__(self, model):
        self.values = {
            value.name: torch.tensor(
                value.asnumpy().astype(np.float64), requires_grad=value.requires_grad
            )
            for value in model.get_parameters()
        }

    def dense(self, x, name):
        return x @ self.values[f"{name}.weight"].T + self.values[f"{name}.bias"]

    def norm(self, x, name):
        centred = x - x.mean(-1, keepdim=True)
        variance = (centred**2).mean(-1, keepdim=True)
        scaled = centred / torch.sqrt(variance + 1e-12)
        return scaled * self.values[f"{name}.weight"] + self.values[f"{name}.bias"]

    def attend(self, x, mask, name):
        def heads(part):
            flat = self.dense(x, f"{name}.{part}")
            return flat.reshape(*x.shape[:2], HEADS, -1).transpose(1, 2)

        query, key, value = (heads(part) for part in ("query", "key", "value"))
        scores = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
        scores = scores.masked_fill(mask[:, None, None, :] == 0, -1e9)
        context = (torch.softmax(scores, -1) @ value).transpose(1, 2).reshape(x.shape)
        return self.dense(context, f"{name}.output")

    def logits(self, ids, mask, segments, positions):
        values = self.values
        x = values["bert.embeddings.word"][ids] + values["bert.embeddings.token_type"][segments]
        x = self.norm(
            x + values["bert.embeddings.position"][: ids.shape[1]], "bert.embeddings.norm"
        )
        for number in range(LAYERS):
            layer = f"bert.layers.{number}"
            attended = self.norm(x, f"{layer}.attention_norm")
            x = x + self.attend(attended, mask, f"{layer}.attention")
            inner = self.dense(self.norm(x, f"{layer}.output_norm"), f"{layer}.intermediate")
            x = x + self.dense(torch.nn.functional.gelu(inner), f"{layer}.output")
        x = self.norm(x, "bert.final_norm")
        chosen = x[torch.arange(len(ids))[:, None], positions].reshape(-1, x.shape[-1])
        transformed = torch.nn.functional.gelu(self.dense(chosen, "head.dense"))
        return (
            self.norm(transformed, "head.norm") @ values["bert.embeddings.word"].T
            + values["head.bias"]
        )


def test_pre_layer_norm_equals_an_independent_statement():
    model, batch = make_model(post_layernorm_residual=False), random_batch()
    reference = PreNormReference(model)
    ids, mask, segments, positions, labels, weights = (
        torch.tensor(array).long() if array.dtype == np.int32 else torch.tensor(array).double()
        for array in batch
    )
    expected = reference.logits(ids, mask, segments, positions)
    np.testing.assert_allclose(logits_of(model, batch), expected.detach().numpy(), atol=1e-5)
    losses = torch.nn.functional.cross_entropy(expected, labels.reshape(-1), reduction="none")
    total = (losses * weights.reshape(-1)).sum() * 0.25
    total.backward()
    loss, gradients = loss_and_gradients(model, batch)
    assert loss == pytest.approx(total.item(), rel=1e-6)
    assert gradients.keys() == reference.values.keys()
    for name, gradient in gradients.items():
        theirs = reference.values[name].grad.numpy()
        relative = 0.0 if name.endswith("key.bias") else np.linalg.norm(theirs)
        assert np.linalg.norm(gradient - theirs) <= 1e-4 * relative + 1e-6, name


def test_pre_and_post_layer_norm_differ():
    batch = random_batch()
    post, pre = make_model(), make_model(post_layernorm_residual=False)
    assert np.abs(logits_of(post, batch) - logits_of(pre, batch)).max() > 1e-2
    names = [{value.name for value in model.get_parameters()} for model in (pre, post)]
    assert names[0] - names[1] == {"bert.final_norm.weight", "bert.final_norm.bias"}


def test_the_pooler_is_carried_along_and_not_trained():
    batch = random_batch()
    plain, pooled = make_model(), make_model(add_pooling_layer=True)
    extra = {"bert.pooler.weight", "bert.pooler.bias"}
    names = {value.name for value in plain.get_parameters()}
    assert {value.name for value in pooled.get_parameters()} == names | extra
    assert {value.name for value in pooled.trainable_params()} == names
    np.testing.assert_array_equal(logits_of(pooled, batch), logits_of(plain, batch))


def test_the_pooler_is_tanh_of_a_dense_layer_on_the_first_position():
    model = make_model(add_pooling_layer=True)
    x = np.random.default_rng(2).standard_normal((4 * 7, 24)).astype(np.float32)
    weight, bias = model.bert.pooler.weight.asnumpy(), model.bert.pooler.bias.asnumpy()
    expected = np.tanh(x.reshape(4, 7, 24)[:, 0] @ weight.T + bias)
    np.testing.assert_allclose(model.bert.pool(ms.Tensor(x), 4).asnumpy(), expected, atol=1e-5)


def test_float16_products_stay_close_to_float32():
    batch = random_batch()
    full, low = (
        logits_of(make_model(), batch),
        logits_of(make_model(compute_dtype="float16"), batch),
    )
    assert low.dtype == np.float32
    assert 0 < np.abs(full - low).max() <= 2e-2 * np.abs(full).max()


def test_pynative_mode_gives_the_same_loss_and_gradients():
    batch = random_batch()
    graph_loss, graph = loss_and_gradients(make_model(), batch)
    ms.set_context(mode=ms.PYNATIVE_MODE)
    try:
        loss, gradients = loss_and_gradients(make_model(), batch)
    finally:
        ms.set_context(mode=ms.GRAPH_MODE)
    assert loss == pytest.approx(graph_loss, rel=1e-6)
    for name, expected in graph.items():
        np.testing.assert_allclose(gradients[name], expected, rtol=1e-4, atol=1e-6, err_msg=name)


def test_a_model_without_fused_kernels_is_the_same_model(monkeypatch):
    batch = random_batch()
    fused_loss, fused = loss_and_gradients(make_model(), batch)
    monkeypatch.setattr(operators, "_loads", lambda: False)
    loss, gradients = loss_and_gradients(make_model(), batch)
    assert fused_loss == pytest.approx(loss, rel=1e-6)
    for name, expected in gradients.items():
        np.testing.assert_allclose(fused[name], expected, rtol=1e-4, atol=2e-6, err_msg=name)


@pytest.mark.parametrize("post_norm", [True, False], ids=["post", "pre"])
def test_padding_changes_no_real_position(post_norm):
    model = make_model(post_layernorm_residual=post_norm)
    ids, mask, segments, positions, *_ = random_batch()
    rng = np.random.default_rng(23)
    wide = np.zeros((3, 32), np.int32)
    padded = []
    for array in (ids, mask, segments):
        padded.append(wide.copy())
        padded[-1][:, :11] = array
    # Not only [PAD]: whatever stands under a mask of 0 must not be seen.
    padded[0] = np.where(padded[1] == 0, rng.integers(0, VOCAB, wide.shape), padded[0])
    padded[2] = np.where(padded[1] == 0, rng.integers(0, 2, wide.shape), padded[2])
    wider = [padded[0].astype(np.int32), padded[1], padded[2].astype(np.int32), positions]
    np.testing.assert_allclose(
        logits_of(model, wider), logits_of(model, (ids, mask, segments, positions)), atol=1e-5
    )


def test_rows_of_a_batch_do_not_see_each_other():
    model, batch = make_model(), random_batch()
    alone = [logits_of(model, [array[row : row + 1] for array in batch]) for row in range(3)]
    np.testing.assert_allclose(logits_of(model, batch), np.concatenate(alone), atol=1e-5)


def test_spare_rows_of_the_embedding_only_add_columns():
    """vocab_size larger than the tokenizer: the tokenizer's columns stay what they were."""
    batch, plain, larger = random_batch(), make_model(), make_model(vocab=VOCAB + 7)
    values = {value.name: value.asnumpy() for value in plain.get_parameters()}
    for value in larger.get_parameters():
        full = value.asnumpy().copy()
        full[: len(values[value.name])] = values[value.name]
        value.set_data(ms.Tensor(full))
    logits = logits_of(larger, batch)
    assert logits.shape[1] == VOCAB + 7
    np.testing.assert_allclose(logits[:, :VOCAB], logits_of(plain, batch), atol=1e-6)
