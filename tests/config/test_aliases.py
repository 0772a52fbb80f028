"""Second names: what they stand for, which layer wins, when they contradict."""

import pytest

from mindmlm.config import load_config
from mindmlm.config.aliases import ALIASES
from mindmlm.config.describe import keys
from mindmlm.errors import ConfigError

# alias -> (text of its value, canonical key, canonical value, text of another value of that key)
CASES = {
    "resume_or_finetune_checkpoint": ("a", "load_checkpoint", "a", "b"),
    "model.model_config.checkpoint_name_or_path": ("a", "load_checkpoint", "a", "b"),
    "input_data": ("a", "predict_data", "a", "b"),
    "train_dataset.seq_length": ("64", "train_dataset.max_seq_length", 64, "32"),
    "model.model_config.seq_length": ("64", "train_dataset.max_seq_length", 64, "32"),
    "train_dataset.max_question_len": ("32", "train_dataset.max_question_length", 32, "16"),
    "metric.max_answer_len": ("40", "metric.max_answer_length", 40, "50"),
    "train_dataset.batch_size": ("5", "runner_config.batch_size", 5, "6"),
    "optimizer.learning_rate": ("1e-5", "lr_schedule.learning_rate", 1e-5, "2e-5"),
    "optimizer.betas": ("[0.5, 0.6]", "optimizer.beta2", 0.6, "0.7"),
    "runner_wrapper.use_clip_grad": ("False", "runner_wrapper.max_grad_norm", None, "2.0"),
}


def load(tmp_path, text, **arguments):
    path = tmp_path / "run.yaml"
    path.write_text(text)
    return load_config(path, require_inputs=False, **arguments)


def value_at(config, path):
    node = config.model_dump(by_alias=True)
    for key in path.split("."):
        node = node[key]
    return node


def as_yaml(*pairs):
    """Write dotted keys as nested YAML sections."""
    tree = {}
    for path, text in pairs:
        *sections, last = path.split(".")
        node = tree
        for name in sections:
            node = node.setdefault(name, {})
        node[last] = text

    def lines(node, indent):
        for key, value in node.items():
            if isinstance(value, dict):
                yield f"{indent}{key}:"
                yield from lines(value, indent + "  ")
            else:
                yield f"{indent}{key}: {value}"

    return "\n".join(lines(tree, "")) + "\n"


def test_every_alias_has_a_case_and_real_targets():
    assert CASES.keys() == {alias.path for alias in ALIASES}
    for alias in ALIASES:
        assert set(alias.targets) <= keys().keys()
        assert alias.path not in keys()


@pytest.mark.parametrize("alias", CASES)
def test_alias_sets_the_canonical_key(tmp_path, alias):
    text, canonical, value, _ = CASES[alias]
    loaded = load(tmp_path, as_yaml((alias, text)))
    assert value_at(loaded.config, canonical) == value
    assert loaded.origins[canonical].startswith(str(tmp_path / "run.yaml:"))


@pytest.mark.parametrize("alias", CASES)
def test_alias_on_the_command_line_overrides_the_key_in_a_file(tmp_path, alias):
    text, canonical, value, other = CASES[alias]
    loaded = load(tmp_path, as_yaml((canonical, other)), options=[f"{alias}={text}"])
    assert value_at(loaded.config, canonical) == value


@pytest.mark.parametrize("alias", CASES)
def test_key_on_the_command_line_overrides_the_alias_in_a_file(tmp_path, alias):
    text, canonical, value, other = CASES[alias]
    loaded = load(tmp_path, as_yaml((alias, text)), options=[f"{canonical}={other}"])
    assert value_at(loaded.config, canonical) not in (value, None)


@pytest.mark.parametrize("alias", CASES)
def test_two_values_in_one_layer_name_both_places(tmp_path, alias):
    text, canonical, _, other = CASES[alias]
    with pytest.raises(ConfigError) as error:
        load(tmp_path, as_yaml((alias, text), (canonical, other)))
    message = str(error.value)
    assert alias in message
    assert canonical in message
    assert message.count(str(tmp_path / "run.yaml:")) == 2


@pytest.mark.parametrize("alias", CASES)
def test_the_same_value_twice_is_fine(tmp_path, alias):
    text, canonical, value, _ = CASES[alias]
    same = "null" if value is None else str(value)
    assert value_at(
        load(tmp_path, as_yaml((alias, text), (canonical, same))).config, canonical
    ) == (value)


def test_two_aliases_of_one_key_contradict(tmp_path):
    text = as_yaml(("train_dataset.seq_length", "64"), ("model.model_config.seq_length", "32"))
    with pytest.raises(ConfigError, match=r"model\.model_config\.seq_length: 32 contradicts"):
        load(tmp_path, text)


@pytest.mark.parametrize(
    ("lower", "norm"), [("0.5", 0.5), ("null", 1.0), (None, 1.0)], ids=["set", "off", "not given"]
)
def test_use_clip_grad_true_keeps_a_norm_that_is_set(tmp_path, lower, norm):
    text = as_yaml(("runner_wrapper.max_grad_norm", lower)) if lower else "seed: 1\n"
    loaded = load(tmp_path, text, options=["runner_wrapper.use_clip_grad=True"])
    assert loaded.config.runner_wrapper.max_grad_norm == norm


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("optimizer: {betas: 0.9}\n", "optimizer.betas: expected a list of two numbers"),
        ("optimizer: {betas: [0.9]}\n", "optimizer.betas: expected a list of two numbers"),
        ("runner_wrapper: {use_clip_grad: maybe}\n", "use_clip_grad: expected True or False"),
        ("optimizer: 5\n", "optimizer: expected a section"),
        ("lr_schedule: 5\noptimizer: {learning_rate: 1}\n", "lr_schedule is not a section"),
        ("callbacks: [3]\n", "callbacks: each entry needs a `type: NAME`"),
        ("callbacks: [{per_print_times: 3}]\n", "callbacks: each entry needs a `type: NAME`"),
        (
            "callbacks: [{type: CheckpointMonitor}, {type: CheckpointMointor}]\n",
            "callbacks.CheckpointMonitor: given twice",
        ),
        ("callbacks: 5\n", "callbacks: expected a section"),
    ],
)
def test_malformed_aliases(tmp_path, text, message):
    with pytest.raises(ConfigError) as error:
        load(tmp_path, text)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("option", "path", "value"),
    [
        ("lr_schedule.type=constant_with_warmup", "lr_schedule.type", "constant"),
        ("lr_schedule.total_steps=-1", "lr_schedule.total_steps", None),
        ("optimizer.type=AdamWeightDecay", "optimizer.type", "adamw"),
        ("optimizer.type=FusedAdamWeightDecay", "optimizer.type", "adamw"),
        ("context.mode=GRAPH_MODE", "context.mode", 0),
        ("context.mode=PYNATIVE_MODE", "context.mode", 1),
        ("context.device_target=cpu", "context.device_target", "CPU"),
        ("model.model_config.compute_dtype=fp16", "model.model_config.compute_dtype", "float16"),
        ("runner_wrapper.scale_sense=8", "runner_wrapper.scale_sense.loss_scale_value", 8),
        (
            "runner_wrapper.scale_sense=8",
            "runner_wrapper.scale_sense.type",
            "FixedLossScaleUpdateCell",
        ),
        ("runner_config.max_steps=1e3", "runner_config.max_steps", 1000),
    ],
)
def test_other_spellings_of_a_value(tmp_path, option, path, value):
    loaded = load(tmp_path, "seed: 1\n", options=[option])
    assert value_at(loaded.config, path) == value
    assert type(value_at(loaded.config, path)) in (type(value), float)
