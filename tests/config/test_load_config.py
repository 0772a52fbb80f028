"""Layers: which value wins, and where it says it came from."""

import pytest

from mindmlm.config import load_config
from mindmlm.errors import ConfigError


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write files into an empty current folder."""
    monkeypatch.chdir(tmp_path)

    def write(**files):
        for name, text in files.items():
            path = tmp_path / f"{name}.yaml"
            path.write_text(text, encoding="utf-8")

    return write


def load(path="run.yaml", **arguments):
    return load_config(path, require_inputs=False, **arguments)


def test_precedence_and_origins(write):
    write(
        low="seed: 1\nrunner_config: {epochs: 1, batch_size: 1, max_steps: 1}\n",
        high="runner_config:\n  epochs: 2\n  batch_size: 2\n",
        run="base_config: [low.yaml, high.yaml]\nrunner_config:\n  batch_size: 3\n",
    )
    loaded = load(
        options=["runner_config.gradient_accumulation_steps=4", "context.device_id=4"],
        dotted={"callbacks.EvalMonitor.eval_steps": "4"},
        flags={"device_id": "5", "mode": None},
    )
    runner = loaded.config.runner_config
    assert (loaded.config.seed, runner.epochs, runner.batch_size, runner.max_steps) == (1, 2, 3, 1)
    assert loaded.config.context.device_id == 5
    expected = {
        "seed": "low.yaml:1",
        "runner_config.epochs": "high.yaml:2",
        "runner_config.batch_size": "run.yaml:3",
        "runner_config.gradient_accumulation_steps": (
            "--options runner_config.gradient_accumulation_steps=4"
        ),
        "callbacks.EvalMonitor.eval_steps": "--callbacks.EvalMonitor.eval_steps",
        "context.device_id": "--device_id",
        "context.mode": "default",
    }
    assert {key: loaded.origins[key] for key in expected} == expected


def test_bases_are_relative_to_the_file_that_names_them(write, tmp_path):
    (tmp_path / "inner").mkdir()
    write(run="base_config: [inner/a.yaml]\n", b="seed: 7\n")
    (tmp_path / "inner" / "a.yaml").write_text("base_config: [../b.yaml]\n")
    loaded = load()
    assert loaded.config.seed == 7
    assert loaded.origins["seed"] == "b.yaml:1"


def test_one_base_by_two_ways_is_no_circle(write):
    write(
        c="seed: 7\n",
        a="base_config: [c.yaml]\n",
        b="base_config: [c.yaml]\n",
        run="base_config: [a.yaml, b.yaml]\n",
    )
    assert load().config.seed == 7


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"run": "base_config: [run.yaml]"}, "run.yaml:1: base_config: the files name each other"),
        (
            {"run": "base_config: [a.yaml]", "a": "seed: 1\nbase_config:\n - run.yaml"},
            "a.yaml:3: base_config: the files name each other in a circle: "
            "run.yaml -> a.yaml -> run.yaml",
        ),
        ({"run": "base_config: [bse.yaml]", "base": ""}, "bse.yaml: no such file; did you mean"),
        ({"run": "base_config: base.yaml"}, "run.yaml:1: base_config: expected a list"),
        ({"run": "base_config: [3]"}, "run.yaml:1: base_config: expected a file name"),
        ({"run": "base_config: ['.']"}, "run.yaml:1: base_config: .: is a folder"),
        ({}, "run.yaml: no such file"),
    ],
)
def test_broken_bases(write, files, message):
    write(**files)
    with pytest.raises(ConfigError) as error:
        load()
    assert message in str(error.value)


def test_many_repeated_bases_are_refused(write):
    files = {f"f{n}": f"base_config: [f{n - 1}.yaml, f{n - 1}.yaml]\n" for n in range(1, 20)}
    write(f0="seed: 1\n", run="base_config: [f19.yaml]\n", **files)
    with pytest.raises(ConfigError, match="files are loaded"):
        load()


def test_callback_lists_and_sections_merge_by_type(write):
    write(
        low=(
            "callbacks:\n"
            "  - type: MFLossMonitor\n"
            "    per_print_times: 2\n"
            "  - type: CheckpointMointor\n"
            "    save_checkpoint_steps: 3\n"
            "    keep_checkpoint_max: 4\n"
        ),
        run="base_config: [low.yaml]\ncallbacks:\n  CheckpointMonitor: {keep_checkpoint_max: 9}\n",
    )
    callbacks = load().config.callbacks
    assert callbacks.loss_monitor.per_print_times == 2
    assert callbacks.checkpoint_monitor.save_checkpoint_steps == 3
    assert callbacks.checkpoint_monitor.keep_checkpoint_max == 9


@pytest.mark.parametrize("zero", ["0", "null"])
def test_zero_steps_mean_never(write, zero):
    write(run=f"callbacks: {{EvalMonitor: {{eval_steps: {zero}}}, MFLossMonitor: }}\n")
    assert load().config.callbacks.eval_monitor.eval_steps is None


def test_text_on_the_command_line_stays_text(write):
    write(run="seed: 1\n")
    for text in (
        "[MASK]",
        "[MASK]是[首都]",
        "今天天气很[MASK]",
        "a: b",
        "007",
        "null",
        "*x",
        "- 1",
        "",
    ):
        assert load(flags={"predict_data": text}).config.predict_data == text
        assert load(options=[f"predict_data={text}"]).config.predict_data == text
        assert load(dotted={"input_data": text}).config.predict_data == text
    assert load(flags={"output_dir": "2024"}).config.output_dir == "2024"


def test_values_may_hold_equal_signs_and_sections(write):
    write(run="seed: 1\n")
    loaded = load(
        options=[
            "trainer.model_name=a=b",
            "train_dataset.masking={strategy: token}",
            "train_dataset.masking.mask_prob=0.5",
        ]
    )
    assert loaded.config.trainer.model_name == "a=b"
    assert loaded.config.train_dataset.masking.strategy == "token"
    assert loaded.config.train_dataset.masking.mask_prob == 0.5


@pytest.mark.parametrize("word", ["true", "True", "TRUE", "yes", "on", "1", "'true'"])
@pytest.mark.parametrize("way", ["yaml", "options", "dotted", "flags"])
def test_every_spelling_of_true(write, word, way):
    write(run=f"profile: {word}\n" if way == "yaml" else "seed: 1\n")
    given = {
        "yaml": {},
        "options": {"options": [f"profile={word}"]},
        "dotted": {"dotted": {"profile": word}},
        "flags": {"flags": {"profile": word}},
    }[way]
    assert load(**given).config.profile is True


@pytest.mark.parametrize("word", ["false", "False", "FALSE", "no", "off", "0"])
def test_every_spelling_of_false(write, word):
    write(run="profile: true\n")
    assert load(options=[f"profile={word}"]).config.profile is False


@pytest.mark.parametrize(
    ("mode", "section"), [("train", "train"), ("finetune", "train"), ("eval", "eval")]
)
@pytest.mark.parametrize("how", ["yaml", "flag", "options"])
def test_dataset_flags_follow_the_run_mode(write, mode, section, how):
    write(run=f"run_mode: {mode}\n" if how == "yaml" else "seed: 1\n", text="x")
    flags = {"dataset_dir": "text.yaml", "num_samples": "7"}
    if how == "flag":
        flags["run_mode"] = mode
    loaded = load(flags=flags, options=[f"run_mode={mode}"] if how == "options" else [])
    chosen = getattr(loaded.config, f"{section}_dataset").data_loader
    other = getattr(loaded.config, {"train": "eval", "eval": "train"}[section] + "_dataset")
    assert (chosen.dataset_dir, chosen.num_samples) == ("text.yaml", 7)
    assert (other.data_loader.dataset_dir, other.data_loader.num_samples) == ("", None)


def test_two_flags_for_one_key_must_agree(write):
    write(run="run_mode: eval\n", a="", b="")
    with pytest.raises(ConfigError, match=r"--eval_dataset_dir.*contradicts.*--dataset_dir"):
        load(flags={"dataset_dir": "a.yaml", "eval_dataset_dir": "b.yaml"})


def test_options_and_dotted_have_the_same_level(write):
    write(run="seed: 1\n")
    with pytest.raises(ConfigError, match="contradicts"):
        load(options=["runner_config.epochs=1"], dotted={"runner_config.epochs": "2"})
    same = load(options=["runner_config.epochs=2"], dotted={"runner_config.epochs": "2"})
    assert same.config.runner_config.epochs == 2
    last = load(options=["runner_config.epochs=1", "runner_config.epochs=3"])
    assert last.config.runner_config.epochs == 3


@pytest.mark.parametrize("option", ["seed", "=3", "a..b=3", "runner_config.=3"])
def test_malformed_options(write, option):
    write(run="seed: 1\n")
    with pytest.raises(ConfigError, match="expected KEY=VALUE"):
        load(options=[option])


def test_missing_inputs_are_notes_or_errors(write):
    write(run="run_mode: finetune\n")
    loaded = load()
    assert [note.split(": ")[1] for note in loaded.notes] == [
        "train_dataset.data_loader.dataset_dir",
        "load_checkpoint",
    ]
    with pytest.raises(ConfigError) as error:
        load_config("run.yaml")
    assert str(error.value).split("\n") == list(loaded.notes)


def test_the_config_is_frozen(write):
    write(run="seed: 1\n")
    with pytest.raises(ValueError, match="frozen"):
        load().config.seed = 3
