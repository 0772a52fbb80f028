"""ELECTRA against transformers' two models on shared embeddings, and against plain numpy."""

from dataclasses import dataclass
from typing import Any

import mindspore as ms
import numpy as np
import pytest

from mindmlm.conversion.architectures import electra_parameters
from mindmlm.models.electra.dropout_sites import dropout_sites
from mindmlm.models.electra.model import ElectraForPreTraining
from mindmlm.models.spans import Span
from mindmlm.parallel.stage import ForwardBackward
from mindmlm.tasks.rtd import SUMS, ReplacedTokenEvaluation, ReplacedTokenLoss
from mindmlm.testing.tiny_electra import (
    SETTINGS,
    VOCAB,
    Pair,
    fake_data,
    huggingface_electra,
    named_parameters,
    plain_losses,
    random_batch,
    sampled_by_inversion,
)

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

GENERATOR_WEIGHT, DISCRIMINATOR_WEIGHT = 1.0, 50.0
BATCH = random_batch(3)


@dataclass
class Both:
    """The same weights there and here; what theirs says of the batch."""

    theirs: Pair
    ours: ElectraForPreTraining
    logits: np.ndarray
    scores: np.ndarray
    ids: np.ndarray
    replaced: np.ndarray
    losses: tuple[Any, Any]

    def gradients(self, scale: list[float]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Scaled losses of our training graph and the gradients by name."""
        loss, (_, found) = self.step(
            ms.Tensor([0.0]), ms.Tensor(scale, ms.float32), *tensors(), *self.no_masks
        )
        names = [value.name for value in self.step.parameters]
        arrays = [gradient.asnumpy() for gradient in found]
        return loss.asnumpy(), dict(zip(names, arrays, strict=True))

    def __post_init__(self) -> None:
        self.step = ForwardBackward(ReplacedTokenLoss(self.ours, 1.0), self.ours.trainable_params())
        self.step.set_train(True)
        sites = dropout_sites(SETTINGS, BATCH["input_ids"].shape[1])
        self.no_masks = [ms.Tensor(np.ones(1, np.bool_))] * len(sites)


def tensors() -> list[ms.Tensor]:
    return [ms.Tensor(array) for array in BATCH.values()]


def to_torch(name: str):
    return torch.from_numpy(BATCH[name].astype(np.int64))


@pytest.fixture(scope="module")
def both(graph_mode) -> Both:
    theirs = huggingface_electra()
    ours = ElectraForPreTraining(SETTINGS, VOCAB)
    named = named_parameters(theirs)
    for value in ours.get_parameters():
        value.set_data(ms.Tensor(named[value.name].detach().numpy()))
    rows = np.arange(len(BATCH["positions"]))[:, None]
    targets = np.full(BATCH["input_ids"].shape, -100, np.int64)
    chosen = BATCH["weights"] > 0
    targets[rows.repeat(chosen.shape[1], 1)[chosen], BATCH["positions"][chosen]] = BATCH["labels"][
        chosen
    ]
    common = {
        "attention_mask": to_torch("input_mask"),
        "token_type_ids": to_torch("segment_ids"),
    }
    filled = theirs.generator(
        input_ids=to_torch("input_ids"), labels=torch.from_numpy(targets), **common
    )
    logits = filled.logits.detach().numpy()[rows, BATCH["positions"]]
    sampled = sampled_by_inversion(logits.reshape(-1, VOCAB), BATCH["draws"].reshape(-1, 2))
    ids, replaced = fake_data(BATCH, sampled.reshape(chosen.shape))
    found = theirs.discriminator(
        input_ids=torch.from_numpy(ids.astype(np.int64)),
        labels=torch.from_numpy(replaced),
        **common,
    )
    scores = found.logits.detach().numpy()
    return Both(theirs, ours, logits, scores, ids, replaced, (filled.loss, found.loss))


def test_the_parameters_are_those_of_the_table(both):
    shapes = {value.name: tuple(value.shape) for value in both.ours.get_parameters()}
    assert shapes == electra_parameters(SETTINGS, VOCAB)
    assert shapes["generator.projection.weight"] == (12, 20)
    assert shapes["generator_head.dense.weight"] == (20, 12)
    assert shapes["discriminator.projection.weight"] == (36, 20)
    # Embeddings as wide as a network are not projected.
    wide = electra_parameters(SETTINGS.model_copy(update={"embedding_size": 36}), VOCAB)
    assert "discriminator.projection.weight" not in wide
    assert wide["generator.projection.weight"] == (12, 36)
    with pytest.raises(ValueError, match="not cut into stages"):
        ElectraForPreTraining(SETTINGS, VOCAB, Span(0, 1, 2))


def test_losses_and_gradients_equal_huggingface(both):
    counts = BATCH["weights"].sum(), BATCH["input_mask"].sum()
    scale = [GENERATOR_WEIGHT / counts[0], DISCRIMINATOR_WEIGHT / counts[1]]
    losses, gradients = both.gradients(scale)
    generator, discriminator = both.losses
    total = GENERATOR_WEIGHT * generator + DISCRIMINATOR_WEIGHT * discriminator
    assert losses[0] == pytest.approx(generator.item(), rel=2e-6)
    assert losses[1] == pytest.approx(DISCRIMINATOR_WEIGHT * discriminator.item(), rel=2e-6)
    for model in both.theirs:
        model.zero_grad()
    total.backward()
    for name, parameter in named_parameters(both.theirs).items():
        reference = parameter.grad.numpy()
        difference = np.linalg.norm(gradients[name] - reference)
        relative = 0.0 if name.endswith("key.bias") else np.linalg.norm(reference)
        assert difference <= 1e-4 * relative + 1e-5, (name, difference, relative)


def test_losses_equal_plain_numpy(both):
    counts = BATCH["weights"].sum(), BATCH["input_mask"].sum()
    losses, _ = both.gradients([1 / counts[0], 1 / counts[1]])
    expected = plain_losses(both.logits, both.scores, both.replaced, BATCH)
    np.testing.assert_allclose(losses, expected, rtol=2e-6)


def test_neither_network_learns_from_the_loss_of_the_other(both):
    _, gradients = both.gradients([0.0, 1.0])
    sizes = {name: np.abs(gradient).max() for name, gradient in gradients.items()}
    assert max(size for name, size in sizes.items() if name.startswith("generator")) == 0.0
    assert min(sizes["embeddings.word"], sizes["discriminator_head.dense.weight"]) > 0.0
    _, gradients = both.gradients([1.0, 0.0])
    sizes = {name: np.abs(gradient).max() for name, gradient in gradients.items()}
    assert max(size for name, size in sizes.items() if name.startswith("discriminator")) == 0.0
    assert min(sizes["embeddings.word"], sizes["generator_head.dense.weight"]) > 0.0


def test_evaluation_counts_what_numpy_counts(both):
    cell = ReplacedTokenEvaluation(both.ours, 1.0)
    cell.set_train(False)
    outputs = [float(value.asnumpy()) for value in cell(ms.Tensor([0.0]), *tensors())]
    found = dict(zip(SUMS, outputs, strict=True))
    mask, chosen = BATCH["input_mask"] > 0, BATCH["weights"] > 0
    called, replaced = (both.scores > 0) & mask, both.replaced > 0
    generator, discriminator = plain_losses(both.logits, both.scores, both.replaced, BATCH)
    assert 0 < replaced.sum() <= chosen.sum() and (called & replaced).any()
    assert found == {
        "generator_loss": pytest.approx(generator * chosen.sum(), rel=2e-6),
        "filled": ((both.logits.argmax(-1) == BATCH["labels"]) & chosen).sum(),
        "chosen": chosen.sum(),
        "discriminator_loss": pytest.approx(discriminator * mask.sum(), rel=2e-6),
        "tokens": mask.sum(),
        "replaced": replaced.sum(),
        "called_replaced": called.sum(),
        "found": (called & replaced).sum(),
    }
    scores = both.ours(*(ms.Tensor(array) for array in discriminator_inputs(both)), ())
    np.testing.assert_allclose(scores.asnumpy().reshape(both.scores.shape), both.scores, atol=1e-5)


def discriminator_inputs(both: Both) -> tuple[np.ndarray, ...]:
    return both.ids.astype(np.int32), BATCH["input_mask"], BATCH["segment_ids"]


def test_each_network_has_dropout_masks_of_its_own():
    dropped = SETTINGS.model_copy(update={"hidden_dropout_prob": 0.1})
    sites = dropout_sites(dropped, 14)
    assert len({(site.layer, site.name) for site in sites}) == len(sites) == (1 + 3) + (1 + 6)
    assert sites[0].shape == sites[4].shape == (14, 20)
    assert sites[2].shape == (14, 12) and sites[-1].shape == (14, 36)
    assert dropout_sites(SETTINGS, 14)[4].shape == (0,)
