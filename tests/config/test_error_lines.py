"""Error lines: place, key, what was given, what is allowed, the nearest name."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mindmlm.config import load_config
from mindmlm.config.describe import keys
from mindmlm.config.registered import SCHEDULES
from mindmlm.errors import ConfigError


def lines_for(path, text, **arguments):
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as error:
        load_config(path, require_inputs=False, **arguments)
    assert error.value.exit_code == 2
    return str(error.value).splitlines()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "runner_config:\n  epoch: 3\n",
            ":2: runner_config.epoch: unknown key; allowed here: epochs, batch_size, "
            "gradient_accumulation_steps, max_steps, sink_mode; did you mean epochs?",
        ),
        (
            "lr_schedule: {type: linaer}\n",
            ":1: lr_schedule.type: expected one of linear, cosine, polynomial, constant, "
            f"{', '.join(SCHEDULES)}, got 'linaer'; did you mean linear?",
        ),
        (
            "runner_config: {batch_size: abc}\n",
            ":1: runner_config.batch_size: expected an integer >= 1, got 'abc'",
        ),
        (
            "runner_config: {batch_size: '8'}\n",
            ":1: runner_config.batch_size: expected an integer >= 1, got '8' (remove the quotes)",
        ),
        (
            "runner_config: {batch_size: 010}\n",
            ":1: runner_config.batch_size: expected an integer >= 1, got '010' "
            "(a number must not begin with 0)",
        ),
        (
            "runner_config: {batch_size: True}\n",
            ":1: runner_config.batch_size: expected an integer >= 1, got True",
        ),
        (
            "runner_config: {batch_size: 2.5}\n",
            ":1: runner_config.batch_size: expected an integer >= 1, got 2.5",
        ),
        (
            "runner_config: {max_steps: 0}\n",
            ":1: runner_config.max_steps: expected an integer >= 1 or null, got 0",
        ),
        ("use_parallel: maybe\n", ":1: use_parallel: expected True or False, got 'maybe'"),
        ("use_parallel: 2\n", ":1: use_parallel: expected True or False, got 2"),
        ("output_dir: 2024\n", ":1: output_dir: expected text that is not empty, got 2024 (write"),
        ("output_dir: ''\n", ":1: output_dir: expected text that is not empty, got ''"),
        ("optimizer: {beta1: 1}\n", ":1: optimizer.beta1: expected a number >= 0 and < 1, got 1"),
        ("optimizer: {eps: .nan}\n", ":1: optimizer.eps: expected a number > 0, got nan"),
        ("optimizer: {eps: 1e999}\n", ":1: optimizer.eps: expected a number > 0, got inf"),
        ("optimizer: adamw\n", ":1: optimizer: expected a section with the keys type, beta1"),
        ("optimizer:\n", ":1: optimizer: expected a section with the keys type, beta1"),
        (
            "predict_data: [a, 3]\n",
            ":1: predict_data: expected text or a list of texts or a mapping of texts or a ",
        ),
        ("context: {mode: True}\n", ":1: context.mode: expected one of 0, 1, got True"),
        ("context: {mode: 2}\n", ":1: context.mode: expected one of 0, 1, got 2"),
        (
            "context: {device_target: GPU}\n",
            ":1: context.device_target: expected one of auto, CPU, Ascend, got 'GPU': mindmlm runs",
        ),
        (
            "model: {arch: {type: BertForTraining}}\n",
            ":1: model.arch.type: expected one of BertForMaskedLM, RobertaForMaskedLM, "
            "BertForPreTraining, BertForQuestionAnswering, GPT2LMHeadModel, ElectraForPreTraining, "
            "got 'BertForTraining'",
        ),
        ("hidden_size: 3\n", "did you mean model.model_config.hidden_size?"),
        ("seq_length: 3\n", "did you mean train_dataset.seq_length?"),
        ("runer_config: {epochs: 3}\n", "did you mean runner_config?"),
        ("model: {settings: {hidden_size: 8}}\n", ":1: model.settings: unknown key"),
    ],
)
def test_one_line_that_says_it_all(tmp_path, text, line):
    path = tmp_path / "run.yaml"
    lines = lines_for(path, text)
    assert len(lines) == 1
    assert lines[0].startswith(str(path))
    assert line in lines[0]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ({"flags": {"epochs": "0"}}, "--epochs: runner_config.epochs: expected an integer >= 1"),
        ({"flags": {"epochs": "[1"}}, "--epochs: not valid YAML"),
        ({"options": ["seed=x"]}, "--options seed=x: seed: expected an integer"),
        ({"dotted": {"optimizer.beta3": "1"}}, "--optimizer.beta3: optimizer.beta3: unknown key"),
        ({"dotted": {"a.b": "1"}}, "--a.b: a: unknown key"),
        ({"flags": {"epoch": 1}}, "--epoch: unknown flag; did you mean epochs?"),
    ],
)
def test_the_flag_is_the_place(tmp_path, arguments, line):
    lines = lines_for(tmp_path / "run.yaml", "seed: 1\n", **arguments)
    assert len(lines) == 1
    assert lines[0].startswith(line)


def test_line_breaks_in_keys_and_values_do_not_break_the_line(tmp_path):
    for text in ('"a\\nb": 1\n', 'lr_schedule: {type: "a\\nb"}\n'):
        assert len(lines_for(tmp_path / "run.yaml", text)) == 1
    assert len(lines_for(tmp_path / "run.yaml", "seed: 1\n", options=["run_mode=a\nb"])) == 1


def test_every_problem_has_its_line(tmp_path):
    text = "seed: x\noptimizer: {beta1: 2, beta2: 2}\nnothing: 1\n"
    path = tmp_path / "run.yaml"
    lines = lines_for(path, text, flags={"mode": "7"})
    assert sorted(line.removeprefix(str(path)).split(": ")[0] for line in lines) == [
        "--mode",
        ":1",
        ":2",
        ":2",
        ":3",
    ]


junk = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.just([1]),
    st.just({}),
)


def nest(key, value):
    for name in reversed(key.split(".")):
        value = {name: value}
    return value


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(sorted(keys())), junk)
def test_any_value_is_accepted_or_refused_in_clean_lines(tmp_path_factory, key, value):
    path = tmp_path_factory.mktemp("junk") / "run.yaml"
    path.write_text(json.dumps(nest(key, value)), encoding="utf-8")
    try:
        load_config(path, require_inputs=False)
    except ConfigError as error:
        for line in str(error).splitlines():
            place, named = line.split(": ")[:2]
            assert place.removesuffix(":1") == str(path)
            assert named in keys() or named.startswith(key)
            assert "pydantic" not in line


def test_a_name_too_long_for_the_system_is_a_missing_file(tmp_path):
    tree = {
        "processor": {"tokenizer": {"vocab_file": "x" * 5000}},
        "model": {"model_config": {"vocab_size": 9000}},
    }
    lines = lines_for(tmp_path / "run.yaml", json.dumps(tree))
    assert len(lines) == 1
    assert lines[0].endswith("no such file or folder")
