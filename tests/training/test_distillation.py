"""Distillation beside torch: DistilBERT's loss term by term, and training steps."""

import numpy as np
import pytest

from mindmlm import build
from mindmlm.config import load_config
from mindmlm.testing.huggingface import huggingface_name
from mindmlm.testing.small_run import SmallRun
from mindmlm.testing.teachers import STUDENT, write_teacher, write_words

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

STEPS = 6


@pytest.fixture(scope="module")
def student(project_root, tmp_path_factory, graph_mode):
    """A function (options...) -> SmallRun of a student of the teacher in `student.teacher`."""
    folder = tmp_path_factory.mktemp("distillation")
    text, teacher = write_words(folder / "text.txt"), write_teacher(folder / "teacher")

    def create(*options):
        flags = {"dataset_dir": str(text), "vocab_file": str(teacher / "vocab.txt")}
        named = f"distillation.teacher={teacher}"
        path = project_root / "configs" / "distill" / "run_distill_tiny_zh.yaml"
        config = load_config(path, [*STUDENT, named, *options], flags=flags).config
        return SmallRun.create(config, folder / "cache")

    create.teacher, create.text = teacher, text
    return create


def torch_student(run):
    """transformers' model with the student's weights, and its parameters by our names."""
    settings = run.config.model.settings
    theirs = transformers.BertForMaskedLM(
        transformers.BertConfig(
            vocab_size=settings.vocab_size,
            num_hidden_layers=settings.num_hidden_layers,
            hidden_size=settings.hidden_size,
            num_attention_heads=settings.num_attention_heads,
            intermediate_size=settings.intermediate_size,
            max_position_embeddings=settings.max_position_embeddings,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
        )
    )
    weights = run.weights()
    state = {huggingface_name(name): torch.tensor(value) for name, value in weights.items()}
    missing, unexpected = theirs.load_state_dict(state, strict=False)
    assert not unexpected and all("decoder" in name for name in missing)
    theirs.tie_weights()
    named = dict(theirs.named_parameters())
    return theirs, {name: named[huggingface_name(name)] for name in weights}


def distilbert_terms(student, teacher, micro_batches, temperature, restrict):
    """The three means of `distillation/distiller.py` (`step`), with torch's own losses."""
    arrays = zip(*(micro.inputs for micro in micro_batches), strict=True)
    ids, mask, segments, positions, labels, weights = (
        torch.tensor(np.concatenate(parts)) for parts in arrays
    )
    inputs = {
        "input_ids": ids.long(),
        "attention_mask": mask.long(),
        "token_type_ids": segments.long(),
        "output_hidden_states": True,
    }
    ours = student(**inputs)
    with torch.no_grad():
        theirs = teacher(**inputs)
    targets = torch.full(ids.shape, -100)
    for row, column in zip(*torch.nonzero(weights, as_tuple=True), strict=True):
        targets[row, positions[row, column]] = labels[row, column].long()
    chosen = (targets > -1) if restrict else mask.bool()
    soft = torch.nn.KLDivLoss(reduction="batchmean")(
        torch.nn.functional.log_softmax(ours.logits[chosen] / temperature, -1),
        torch.nn.functional.softmax(theirs.logits[chosen] / temperature, -1),
    )
    masked = torch.nn.CrossEntropyLoss(ignore_index=-100)(
        ours.logits.view(-1, ours.logits.shape[-1]), targets.view(-1)
    )
    tokens = mask.bool()
    hidden = [output.hidden_states[-1][tokens] for output in (ours, theirs)]
    cosine = torch.nn.CosineEmbeddingLoss()(*hidden, torch.ones(len(hidden[0])))
    return soft * temperature**2, masked, cosine


@pytest.mark.parametrize(
    ("restrict", "temperature", "alphas"),
    [
        (False, 2.0, (5, 2, 1)),
        pytest.param(True, 3.0, (0.5, 1, 2), marks=pytest.mark.slow),
    ],
)
def test_steps_equal_torch(student, restrict, temperature, alphas):
    section = "distillation"
    names = ("alpha_ce", "alpha_mlm", "alpha_cos")
    run = student(
        "runner_config.gradient_accumulation_steps=2",
        f"runner_config.max_steps={STEPS}",
        f"{section}.restrict_ce_to_mask={restrict}",
        f"{section}.temperature={temperature}",
        *(f"{section}.{name}={value}" for name, value in zip(names, alphas, strict=True)),
        "lr_schedule.learning_rate=1e-3",
    )
    theirs, named = torch_student(run)
    teacher = transformers.BertForMaskedLM.from_pretrained(student.teacher).eval()
    settings = run.config.optimizer
    assert (settings.beta1, settings.beta2, settings.weight_decay) == (0.9, 0.98, 0.0)
    optimizer = torch.optim.AdamW(
        list(named.values()), lr=1.0, betas=(0.9, 0.98), eps=settings.eps, weight_decay=0.0
    )
    schedule = build.build_schedule(run.config, STEPS)
    for step in range(STEPS):
        batches = run.micro_batches(step)
        # Else a mean of means would pass.
        assert len({micro.counts for micro in batches}) > 1 or step
        terms = distilbert_terms(theirs, teacher, batches, temperature, restrict)
        loss = sum(alpha * term for alpha, term in zip(alphas, terms, strict=True))
        optimizer.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(theirs.parameters(), 5.0)
        for group in optimizer.param_groups:
            group["lr"] = schedule.at(step)
        optimizer.step()
        (found,) = run.train(1)
        assert found.loss == pytest.approx(loss.item(), rel=2e-5)
        assert found.gradient_norm == pytest.approx(norm.item(), rel=1e-4)
        expected = dict(zip(("soft_target_loss", "mlm_loss", "cosine_loss"), terms, strict=True))
        for name, value in expected.items():
            assert found.terms[name] == pytest.approx(value.item(), rel=5e-5, abs=3e-5), name
    for name, value in run.weights().items():
        np.testing.assert_allclose(value, named[name].detach().numpy(), atol=2e-4, err_msg=name)


def test_the_student_starts_from_layers_of_the_teacher(student):
    theirs = transformers.BertForMaskedLM.from_pretrained(student.teacher).state_dict()
    for chosen in ([0, 3], [2, 1]):
        run = student(f"distillation.teacher_layers={chosen}")
        for name, value in run.weights().items():
            there = huggingface_name(name)
            for layer, taken in enumerate(chosen):
                there = there.replace(f"layer.{layer}.", f"layer.<{taken}>.")
            there = there.replace("<", "").replace(">", "")
            assert np.array_equal(value, theirs[there].numpy()), name
    fresh = student("distillation.teacher_layers=null").weights()
    word = theirs["bert.embeddings.word_embeddings.weight"].numpy()
    assert not np.allclose(fresh["bert.embeddings.word"], word)


def test_frozen_position_embeddings_are_not_updated(student):
    free, frozen = (
        student(f"distillation.freeze_position_embeddings={value}") for value in (False, True)
    )
    left_out = {"bert.embeddings.position"}
    assert set(free.updater.names) - set(frozen.updater.names) == left_out
    # Neither gradient nor optimizer state is there for it, so nothing changes it.
    updated = {value.name for value in frozen.updater.owned.parameters}
    assert updated == set(free.weights()) - left_out
    assert not any("position" in value.name for value in frozen.updater.state())


def test_terms_of_torch_on_random_numbers(graph_mode):
    import mindspore as ms

    from mindmlm.models.losses import CosineDistance, SoftTargetDivergence

    rng = np.random.default_rng(0)
    ours, theirs = (rng.normal(0, 3, (7, 11)).astype(np.float32) for _ in range(2))
    weights = np.array([1, 0, 1, 1, 0, 1, 1], np.float32)
    kept = weights > 0
    x = torch.tensor(ours, requires_grad=True)
    soft = torch.nn.KLDivLoss(reduction="batchmean")(
        torch.log_softmax(x[kept] / 2, -1), torch.softmax(torch.tensor(theirs)[kept] / 2, -1)
    )
    cosine = torch.nn.CosineEmbeddingLoss()(x[kept], torch.tensor(theirs)[kept], torch.ones(5))
    divergence, distance = SoftTargetDivergence(2.0), CosineDistance()

    def first(a, b, w):
        return divergence(a, b, w)[0]

    for cell, expected in ((first, soft * 4), (distance, cosine)):
        tensors = [ms.Tensor(array) for array in (ours, theirs, weights)]
        value, gradient = ms.value_and_grad(cell, 0)(*tensors)
        (wanted,) = torch.autograd.grad(expected, x)
        assert float(value.asnumpy()) / kept.sum() == pytest.approx(expected.item(), rel=1e-5)
        np.testing.assert_allclose(gradient.asnumpy() / kept.sum(), wanted.numpy(), atol=1e-6)
    probabilities = [np.exp(a / 2) / np.exp(a / 2).sum(1, keepdims=True) for a in (theirs, ours)]
    by_hand = (probabilities[0] * np.log(probabilities[0] / probabilities[1])).sum(1)[kept].mean()
    assert soft.item() == pytest.approx(by_hand, rel=1e-5)
