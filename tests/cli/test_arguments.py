"""The command line of run_mindformer.py."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mindmlm.cli.arguments import Arguments, help_text, parse_arguments
from mindmlm.config import load_config
from mindmlm.config.describe import keys
from mindmlm.config.flags import FLAGS
from mindmlm.errors import ConfigError

R03_FLAGS = {
    "mode",
    "device_id",
    "device_target",
    "run_mode",
    "dataset_dir",
    "predict_data",
    "load_checkpoint",
    "seed",
    "use_parallel",
    "profile",
    "epochs",
    "batch_size",
    "sink_mode",
    "num_samples",
}
OUR_FLAGS = {
    "vocab_file",
    "merges_file",
    "output_dir",
    "eval_dataset_dir",
    "max_steps",
    "save_checkpoint_steps",
}
MODELARTS_FLAGS = {
    "data_parallel",
    "model_parallel",
    "pipeline_parallel",
    "micro_size",
    "recompute",
    "double_parallel",
    "remote_save_url",
}

# flag -> (text given, value of the key it sets)
VALUES = {
    "mode": ("PYNATIVE_MODE", 1),
    "device_id": ("3", 3),
    "device_target": ("Ascend", "Ascend"),
    "run_mode": ("finetune", "finetune"),
    "dataset_dir": ("text.txt", "text.txt"),
    "predict_data": ("[MASK]是", "[MASK]是"),
    "load_checkpoint": ("latest", "latest"),
    "seed": ("7", 7),
    "use_parallel": ("False", False),
    "profile": ("True", True),
    "epochs": ("9", 9),
    "batch_size": ("9", 9),
    "sink_mode": ("true", True),
    "num_samples": ("9", 9),
    "vocab_file": ("text.txt", "text.txt"),
    "merges_file": ("text.txt", "text.txt"),
    "output_dir": ("out", "out"),
    "eval_dataset_dir": ("text.txt", "text.txt"),
    "max_steps": ("1e3", 1000),
    "save_checkpoint_steps": ("50", 50),
    "data_parallel": ("2", 2),
    "model_parallel": ("2", 2),
    "pipeline_parallel": ("2", 2),
    "micro_size": ("24", 24),
    "recompute": ("True", True),
    "double_parallel": ("1", 1),
    "remote_save_url": ("obs://bucket/job", "obs://bucket/job"),
}

# flag -> what makes its value a possible one
NEEDS = {
    "merges_file": [
        "--vocab_file=text.txt",
        "--processor.tokenizer.type=GPT2Tokenizer",
        "--model.model_config.type=GPT2Config",
        "--model.arch.type=GPT2LMHeadModel",
        "--trainer.type=CausalLanguageModelingTrainer",
    ]
}


def test_every_flag_of_r03_and_ours():
    assert {flag.name for flag in FLAGS} == R03_FLAGS | OUR_FLAGS | MODELARTS_FLAGS == VALUES.keys()
    for flag in FLAGS:
        assert flag.key in keys()
        assert flag.eval_key is None or flag.eval_key in keys()


@pytest.mark.parametrize("flag", FLAGS, ids=lambda flag: flag.name)
@pytest.mark.parametrize("form", ["two words", "equals sign"])
def test_every_flag_reaches_its_key(flag, form, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text("a\n")
    (tmp_path / "run.yaml").write_text(f"{'trainer'}: {{model_name: x}}\n")
    text, value = VALUES[flag.name]
    words = [f"--{flag.name}={text}"] if form == "equals sign" else [f"--{flag.name}", text]
    words += NEEDS.get(flag.name, [])
    arguments = parse_arguments(["--config", "run.yaml", *words])
    loaded = load_config(
        arguments.config_path,
        arguments.options,
        arguments.dotted,
        arguments.flags,
        require_inputs=False,
    )
    node = loaded.config.model_dump(by_alias=True)
    for key in flag.key.split("."):
        node = node[key]
    assert node == value
    assert loaded.origins[flag.key] == f"--{flag.name}"


def test_a_whole_command_line():
    words = [
        "--config=c.yaml",
        "--options",
        "a.b=1",
        "c=[1,2]",
        "--x.y",
        "3",
        "--x.z=a=b",
        "--epochs",
        "4",
        "--dry_run",
    ]
    assert parse_arguments([*words, "--predict_data", "a --b"]) == Arguments(
        config_path=parse_arguments(["--config", "c.yaml"]).config_path,
        options=("a.b=1", "c=[1,2]"),
        dotted={"x.y": "3", "x.z": "a=b"},
        flags={"epochs": "4", "predict_data": "a --b"},
        dry_run=True,
    )


def test_options_several_times_and_the_last_flag_counts():
    words = [
        "--options",
        "a=1",
        "--config",
        "c",
        "--options",
        "b=2",
        "--options=d=3",
        "--seed",
        "1",
        "--seed",
        "-2",
    ]
    arguments = parse_arguments(words)
    assert arguments.options == ("a=1", "b=2", "d=3")
    assert arguments.flags == {"seed": "-2"}
    assert not arguments.print_config
    assert parse_arguments(["--config", "c", "--print_config"]).print_config


@given(st.text())
def test_any_text_can_be_predicted(text):
    arguments = parse_arguments(["--config", "c", f"--predict_data={text}"])
    assert arguments.flags["predict_data"] == text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "--config is missing"),
        (["--config"], "--config: the value is missing"),
        (["--config", "--seed", "1"], "--config: the value is missing"),
        (["--config", "c", "--epoch", "3"], "--epoch: unknown flag; did you mean --epochs?"),
        (["--config", "c", "--learning_rate=3"], "did you mean --lr_schedule.learning_rate?"),
        (["--config", "c", "--zzz", "3"], "--zzz: unknown flag (--help lists all)"),
        (["--config", "c", "--.a", "3"], "--.a: unknown flag"),
        (["train"], "train: unexpected word; did you mean --run_mode train?"),
        (["a.yaml"], "a.yaml: unexpected word; did you mean --config a.yaml?"),
        (["epochs=3"], "epochs=3: unexpected word; did you mean --epochs?"),
        (["-seed", "3"], "-seed: unexpected word; did you mean --seed?"),
        (["--"], "--: unexpected word"),
        (["--config", "c", "extra"], "extra: unexpected word"),
        (["--config", "c", "--options"], "--options: expected KEY=VALUE"),
        (["--config", "c", "--options", "--seed", "3"], "--options: expected KEY=VALUE"),
        (["--config", "c", "--dry_run=yes"], "--dry_run: takes no value"),
        (["--config", "c", "--profile", "--seed", "3"], "--profile: the value is missing"),
    ],
)
def test_refused_words(words, message):
    with pytest.raises(ConfigError) as error:
        parse_arguments(words)
    assert message in str(error.value)
    assert error.value.exit_code == 2


@pytest.mark.parametrize("word", ["--help", "-h"])
def test_help_teaches(word, capsys):
    with pytest.raises(SystemExit) as stop:
        parse_arguments(["--config", "c", word])
    assert stop.value.code == 0
    printed = capsys.readouterr().out
    assert printed == help_text() + "\n"
    for flag in FLAGS:
        assert f"--{flag.name} {flag.example}" in printed
        assert flag.help in printed
    for word in ("--config", "--options", "--print_config", "--dry_run", "examples:"):
        assert word in printed
