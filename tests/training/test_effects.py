"""A key that is changed changes what a run computes."""

import mindspore as ms
import numpy as np
import pytest

from mindmlm import build
from mindmlm.optim.loss_scale import LossScale
from mindmlm.parallel.agreement import Agreement
from mindmlm.tasks.mlm import MaskedLMLoss
from mindmlm.testing.corpus import write_corpus

MODEL = "model.model_config"


@pytest.fixture
def pynative(graph_mode):
    """Operators at once: the first step of a new model costs no compilation."""
    ms.set_context(mode=ms.PYNATIVE_MODE)
    yield
    ms.set_context(mode=ms.GRAPH_MODE)


def batch_bytes(run):
    arrays = [
        array for step in (0, 1) for micro in run.micro_batches(step) for array in micro.inputs
    ]
    return b"".join(array.tobytes() for array in arrays)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("seed", "43"),
        ("runner_config.batch_size", "3"),
        ("runner_config.gradient_accumulation_steps", "2"),
        ("train_dataset.seed", "43"),
        ("train_dataset.max_seq_length", "24"),
        ("train_dataset.sample_mode", "packed"),
        ("train_dataset.max_predictions_per_seq", "2"),
        ("train_dataset.masking.strategy", "token"),
        ("train_dataset.masking.masked_lm_prob", "0.3"),
        ("train_dataset.masking.mask_prob", "0.5"),
        ("train_dataset.masking.random_prob", "0.2"),
        ("train_dataset.data_loader.shuffle", "False"),
        ("train_dataset.data_loader.num_samples", "50"),
        ("train_dataset.data_loader.text_format", "document"),
        ("eval_dataset.holdout_fraction", "0.3"),
        ("processor.segmenter", "none"),
    ],
)
def test_keys_that_change_the_batches(small_run, key, value):
    base = ("train_dataset.masking.masked_lm_prob=0.2",)
    if key == "train_dataset.data_loader.text_format":
        # Packed, [SEP] stands between documents. This text, without blank lines, is a single one,
        # and nothing can be held out of it.
        text = small_run().config.train_dataset.data_loader.dataset_dir
        base = (f"eval_dataset.data_loader.dataset_dir={text}", "train_dataset.sample_mode=packed")
    assert batch_bytes(small_run(*base)) == batch_bytes(small_run(*base))
    assert batch_bytes(small_run(*base)) != batch_bytes(small_run(*base, f"{key}={value}"))


def first_loss(run):
    """Loss of the first batch with dropout, before any update."""
    cell = MaskedLMLoss(run.model.cell)
    cell.set_train(True)
    (micro,) = run.micro_batches(0)
    tensors = [ms.Tensor(array) for array in (*micro.inputs, *micro.keeps)]
    return float(cell(ms.Tensor([0.0]), ms.Tensor(1.0, ms.float32), *tensors).asnumpy())


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("seed", "43"),
        (f"{MODEL}.hidden_size", "48"),
        (f"{MODEL}.num_hidden_layers", "2"),
        (f"{MODEL}.num_attention_heads", "4"),
        (f"{MODEL}.intermediate_size", "48"),
        (f"{MODEL}.hidden_act", "relu"),
        (f"{MODEL}.hidden_act", "gelu_tanh"),
        (f"{MODEL}.hidden_dropout_prob", "0.3"),
        (f"{MODEL}.attention_probs_dropout_prob", "0.3"),
        (f"{MODEL}.initializer_range", "0.05"),
        (f"{MODEL}.layer_norm_eps", "0.1"),
        (f"{MODEL}.post_layernorm_residual", "False"),
        (f"{MODEL}.compute_dtype", "float16"),
    ],
)
def test_keys_that_change_the_model(small_run, pynative, key, value):
    # Weights large enough for a small change to be seen in float32.
    base = ("train_dataset.seed=1", f"{MODEL}.initializer_range=0.5")
    assert first_loss(small_run(*base)) != first_loss(small_run(*base, f"{key}={value}"))


@pytest.mark.parametrize(
    ("key", "value", "more"),
    [
        (f"{MODEL}.vocab_size", "400", lambda tokens: (400 - tokens) * (32 + 1)),
        (f"{MODEL}.max_position_embeddings", "500", lambda tokens: -12 * 32),
        (f"{MODEL}.type_vocab_size", "5", lambda tokens: 3 * 32),
        (f"{MODEL}.add_pooling_layer", "True", lambda tokens: 32 * 32 + 32),
    ],
)
def test_keys_that_change_the_number_of_parameters(small_run, key, value, more):
    before, after = small_run(), small_run(f"{key}={value}")
    added = after.model.number_of_parameters() - before.model.number_of_parameters()
    assert added == more(before.tokenizer.vocab_size)


def weights_after_two_updates(run):
    run.train(2)
    return np.concatenate([value.ravel() for value in run.weights().values()])


@pytest.fixture(scope="module")
def base_weights(small_run):
    return weights_after_two_updates(small_run("lr_schedule.warmup_ratio=0"))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("optimizer.type", "lamb"),
        ("optimizer.beta1", "0.5"),
        ("optimizer.beta2", "0.9"),
        ("optimizer.eps", "1e-3"),
        ("optimizer.weight_decay", "0.5"),
        ("runner_wrapper.max_grad_norm", "0.01"),
        ("lr_schedule.learning_rate", "2e-3"),
    ],
)
def test_keys_that_change_the_update(small_run, base_weights, pynative, key, value):
    changed = weights_after_two_updates(small_run("lr_schedule.warmup_ratio=0", f"{key}={value}"))
    # Far more than the rounding between graph and PyNative mode.
    assert np.abs(changed - base_weights).max() > 1e-5


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("lr_schedule.type", "cosine"),
        ("lr_schedule.learning_rate", "2e-3"),
        ("lr_schedule.lr_end", "1e-4"),
        ("lr_schedule.warmup_ratio", "0.2"),
        ("lr_schedule.warmup_steps", "5"),
        ("lr_schedule.total_steps", "50"),
        ("lr_schedule.power", "2"),
        ("runner_config.max_steps", "60"),
    ],
)
def test_keys_that_change_the_learning_rate(small_run, key, value):
    base = ["lr_schedule.warmup_ratio=null", "runner_config.max_steps=100"]
    if key == "lr_schedule.power":
        base.append("lr_schedule.type=polynomial")

    def rates(*options):
        run = small_run(*base, *options)
        schedule = build.build_schedule(run.config, run.steps)
        return [schedule.at(step) for step in range(100)]

    assert rates() != rates(f"{key}={value}")


def test_a_warmup_longer_than_the_run_is_refused(small_run):
    from mindmlm.errors import ConfigError

    options = ("runner_config.max_steps=10", "lr_schedule.warmup_ratio=null")
    run = small_run(*options, "lr_schedule.warmup_steps=11")
    with pytest.raises(ConfigError, match="11 is more than the 10 steps"):
        build.build_schedule(run.config, run.steps)


def test_the_loss_scale_follows_its_section_in_float16_only(small_run):
    scale = "runner_wrapper.scale_sense"
    low = f"{MODEL}.compute_dtype=float16"
    values = (f"{scale}.loss_scale_value=64", f"{scale}.scale_factor=4", f"{scale}.scale_window=7")
    assert small_run(*values).state.loss_scale == LossScale()
    assert small_run(low, *values).state.loss_scale == LossScale(64.0, 4.0, 7)
    fixed = small_run(low, *values, f"{scale}.type=FixedLossScaleUpdateCell").state.loss_scale
    for overflow in (True, *[False] * 20):
        fixed.update(overflow)
    assert fixed.value == 64.0


def test_the_length_of_a_run(small_run):
    samples = small_run().corpus.train.num_samples
    assert small_run("runner_config.epochs=2").steps == -(-2 * samples // 4)
    assert small_run("runner_config.epochs=2", "runner_config.batch_size=7").steps == -(
        -2 * samples // 7
    )
    assert small_run("runner_config.epochs=2", "runner_config.max_steps=9").steps == 9


def test_the_evaluation_text_and_its_batches(small_run, tmp_path):
    text = write_corpus(tmp_path / "other.txt", documents=20, seed=3)
    held_out = small_run().corpus.evaluation
    other = small_run(f"eval_dataset.data_loader.dataset_dir={text}")
    fewer = small_run(
        f"eval_dataset.data_loader.dataset_dir={text}", "eval_dataset.data_loader.num_samples=5"
    )
    assert other.corpus.train.num_samples > small_run().corpus.train.num_samples
    fingerprints = {store.fingerprint for store in (held_out, other.corpus.evaluation)}
    assert len(fingerprints) == 2
    assert fewer.corpus.evaluation.num_samples < other.corpus.evaluation.num_samples
    for options, rows in (((), 4), (("eval_dataset.batch_size=3",), 3)):
        run = small_run(*options)
        evaluator = build.build_evaluator(
            run.config,
            run.model,
            run.corpus.evaluation,
            run.tokenizer,
            Agreement(run.model.place),
        )
        assert {len(batch[0]) for batch in evaluator.batches()} == {rows}
