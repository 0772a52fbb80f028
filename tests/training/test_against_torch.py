"""Training steps against Hugging Face's model with torch's AdamW and clipping."""

import numpy as np
import pytest

from mindmlm import build
from mindmlm.conversion.architectures import architecture_of
from mindmlm.optim.moments import is_decayed
from mindmlm.testing.huggingface import huggingface_name

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

STEPS = 20
OPTIONS = (
    "model.model_config.num_hidden_layers=2",
    "model.model_config.hidden_dropout_prob=0",
    "model.model_config.attention_probs_dropout_prob=0",
    # Larger weights than usual, so that the gradients are clipped at some steps and not at others.
    "model.model_config.initializer_range=0.1",
    "runner_wrapper.max_grad_norm=2.0",
    "runner_config.batch_size=4",
    "runner_config.gradient_accumulation_steps=2",
    f"runner_config.max_steps={STEPS}",
)


KINDS = {
    "small_run": (transformers.BertConfig, transformers.BertForMaskedLM),
    "roberta_run": (transformers.RobertaConfig, transformers.RobertaForMaskedLM),
}


def name_there(run, name):
    return huggingface_name(name, architecture_of(run.config.model.settings))


def huggingface_model(run, kind):
    model = run.config.model.settings
    config_class, model_class = KINDS[kind]
    config = config_class(
        vocab_size=run.tokenizer.vocab_size,
        hidden_size=model.hidden_size,
        num_hidden_layers=model.num_hidden_layers,
        num_attention_heads=model.num_attention_heads,
        intermediate_size=model.intermediate_size,
        max_position_embeddings=model.max_position_embeddings,
        type_vocab_size=model.type_vocab_size,
        layer_norm_eps=model.layer_norm_eps,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    theirs = model_class(config)
    values = {name_there(run, name): value for name, value in run.weights().items()}
    table = architecture_of(model).table("huggingface")
    values |= {tied: values[name] for tied, name in table.tied.items()}
    theirs.load_state_dict({name: torch.tensor(value) for name, value in values.items()})
    return theirs


def torch_optimizer(theirs, run):
    parameters, settings = dict(theirs.named_parameters()), run.config.optimizer
    names = [value.name for value in run.model.cell.trainable_params()]
    groups = [
        {
            "params": [parameters[name_there(run, n)] for n in names if is_decayed(n) is decayed],
            "weight_decay": settings.weight_decay if decayed else 0.0,
        }
        for decayed in (True, False)
    ]
    assert sum(len(group["params"]) for group in groups) == len(parameters)
    return torch.optim.AdamW(
        groups, lr=1.0, betas=(settings.beta1, settings.beta2), eps=settings.eps
    )


def torch_loss(theirs, micro_batches):
    """Sum over chosen positions of the whole global batch, divided by their number."""
    ids, mask, segments, positions, labels, weights = (
        np.concatenate(arrays)
        for arrays in zip(*(micro.inputs for micro in micro_batches), strict=True)
    )
    targets = np.full(ids.shape, -100, np.int64)
    rows = np.nonzero(weights)[0]
    targets[rows, positions[weights > 0]] = labels[weights > 0]
    tensors = (torch.tensor(array, dtype=torch.long) for array in (ids, mask, segments, targets))
    names = ("input_ids", "attention_mask", "token_type_ids", "labels")
    return theirs(**dict(zip(names, tensors, strict=True))).loss


@pytest.mark.parametrize("kind", ["small_run", pytest.param("roberta_run", marks=pytest.mark.slow)])
def test_twenty_steps_equal_huggingface_and_torch(kind, request):
    run = request.getfixturevalue(kind)(*OPTIONS)
    theirs = huggingface_model(run, kind)
    optimizer = torch_optimizer(theirs, run)
    schedule = build.build_schedule(run.config, STEPS)
    expected, norms = [], []
    for step in range(STEPS):
        loss = torch_loss(theirs, run.micro_batches(step))
        optimizer.zero_grad()
        loss.backward()
        norms.append(float(torch.nn.utils.clip_grad_norm_(theirs.parameters(), 2.0)))
        for group in optimizer.param_groups:
            group["lr"] = schedule.at(step)
        optimizer.step()
        expected.append(loss.item())
    results = run.train(STEPS)
    assert min(norms) < 2.0 < max(norms)
    np.testing.assert_allclose([step.loss for step in results], expected, rtol=1e-5)
    np.testing.assert_allclose([step.gradient_norm for step in results], norms, rtol=1e-4)
    values = dict(theirs.named_parameters())
    for name, ours in run.weights().items():
        reference = values[name_there(run, name)].detach().numpy()
        np.testing.assert_allclose(ours, reference, rtol=1e-3, atol=1e-4, err_msg=name)
