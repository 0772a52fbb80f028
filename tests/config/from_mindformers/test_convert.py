"""Files of MindFormers r0.3 become ours: what goes over, what changes, what is said of it."""

from pathlib import Path

import pytest
import yaml

from mindmlm.cli.main import main
from mindmlm.cli.run import main as run_main
from mindmlm.config import load_config
from mindmlm.config.from_mindformers import Converted, convert
from mindmlm.config.from_mindformers.old_yaml import leaves, read_old
from mindmlm.config.schema import RunConfig
from mindmlm.errors import ConfigError

OLD = Path(__file__).parent / "old"
RUNS = ("bert", "gpt2_13b", "qa")


@pytest.fixture(scope="module")
def converted() -> dict[str, Converted]:
    return {name: convert(OLD / f"{name}.yaml") for name in RUNS}


@pytest.fixture
def with_files(tmp_path, monkeypatch):
    """The data that the old files name."""
    (tmp_path / "wiki.mindrecord").touch()
    (tmp_path / "squad").mkdir()
    for name in ("train-v1.1.json", "dev-v1.1.json", "qa_bert_base_uncased"):
        (tmp_path / "squad" / name).touch()
    (tmp_path / "qa_bert_base_uncased").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def configs(converted, with_files) -> dict[str, RunConfig]:
    found = {}
    for name, result in converted.items():
        path = with_files / f"{name}.yaml"
        path.write_text(result.yaml(), encoding="utf-8")
        found[name] = load_config(path, require_inputs=False).config
    return found


def write(folder: Path, change: dict, base: str = "bert") -> Path:
    """The old file with other values at the top of it."""
    text = yaml.safe_dump({"base_config": [str(OLD / f"{base}.yaml")], **change})
    path = folder / "old.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", RUNS)
def test_something_is_said_of_every_key(converted, name):
    spoken_of = {change.old for change in converted[name].changes}
    old = leaves(read_old(OLD / f"{name}.yaml"))
    copied = tuple(key for key in spoken_of if key.endswith("dataset_config"))
    assert copied
    silent = [key for key in old if key not in spoken_of and not key.startswith(copied)]
    assert not silent
    assert not [change for change in converted[name].changes if change.kind == "unknown"]


def test_the_keys_of_r03_that_go_over(configs):
    bert, gpt2, qa = (configs[name] for name in RUNS)
    assert (bert.seed, gpt2.seed, qa.seed) == (0, 0, 42)
    assert bert.optimizer.weight_decay == 0.05
    assert bert.optimizer.eps == 1e-8
    assert (bert.lr_schedule.type, bert.lr_schedule.lr_end) == ("cosine", 1e-6)
    assert bert.lr_schedule.warmup_steps == 10000
    assert bert.lr_schedule.total_steps is None
    assert bert.callbacks.checkpoint_monitor.keep_checkpoint_max == 3
    assert bert.callbacks.loss_monitor.per_print_times == 1
    assert bert.model.settings.hidden_size == 256
    assert bert.model.settings.attention_probs_dropout_prob == 0.2
    assert bert.train_dataset.seed == 2022
    assert bert.runner_wrapper.scale_sense.type == "FixedLossScaleUpdateCell"
    assert bert.runner_wrapper.scale_sense.loss_scale_value == 1024
    assert bert.runner_wrapper.max_grad_norm is None
    assert gpt2.degrees == (4, 2, 4)
    assert gpt2.optimizer_parallel
    assert gpt2.runner_wrapper.max_grad_norm == 1.0
    assert gpt2.runner_wrapper.scale_sense.loss_scale_value == 2**32
    assert gpt2.recompute_config.recompute_slice_activation
    assert gpt2.profile
    assert gpt2.train_dataset.data_loader.dataset_dir == "wiki.mindrecord"
    assert gpt2.train_dataset.data_loader.num_samples == 1000
    assert qa.optimizer.beta2 == 0.98
    assert qa.lr_schedule.learning_rate == 3e-5
    assert qa.lr_schedule.warmup_ratio == 0.5
    assert qa.metric.max_answer_length == 25
    assert qa.train_dataset.max_seq_length == 384
    assert (qa.train_dataset.doc_stride, qa.train_dataset.max_question_length) == (96, 48)
    assert qa.load_checkpoint == "qa_bert_base_uncased"


def test_networks_are_those_of_mindformers(configs):
    gpt2 = configs["gpt2_13b"].model.settings
    assert (gpt2.hidden_size, gpt2.num_hidden_layers, gpt2.num_attention_heads) == (5120, 40, 40)
    assert gpt2.intermediate_size == 20480
    assert gpt2.max_position_embeddings == 1024
    assert gpt2.embedding_dropout_prob == 0.0
    assert configs["gpt2_13b"].generation.top_k == 5
    for config in configs.values():
        assert config.model.settings.hidden_act == "gelu_tanh"
        assert config.model.settings.layer_norm_eps == 1e-5
    # r0.3's BertConfig ignored these names of the shipped file and took its defaults.
    assert configs["qa"].model.settings.hidden_size == 768
    assert configs["qa"].model.settings.num_hidden_layers == 12


def test_bases_replace_whole_sections_as_in_r03(configs):
    context = configs["gpt2_13b"].context
    assert (context.mode, context.max_device_memory) == (0, "30GB")


def test_the_command_writes_a_file_that_passes_a_dry_run(with_files, capsys):
    for name in RUNS:
        new = with_files / f"{name}.yaml"
        assert main(["convert-config", str(OLD / f"{name}.yaml"), "--output", str(new)]) == 0
        printed = capsys.readouterr().out
        assert f"wrote {new}" in printed
        assert ("still missing:" in printed) == (name != "qa")
        assert run_main(["--config", str(new), "--dry_run"]) == 0
        assert "the configuration is good" in capsys.readouterr().err
    assert "dropped " in printed
    assert "embedding_size: 1024  (r0.3's BertConfig does not have it" in printed
    assert main(["convert-config", str(OLD / "qa.yaml"), "--output", str(new)]) == 2
    assert "exists already" in capsys.readouterr().err


def test_a_path_that_is_not_here_is_to_be_repaired(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    new = tmp_path / "new.yaml"
    assert main(["convert-config", str(OLD / "gpt2_13b.yaml"), "--output", str(new)]) == 1
    assert new.is_file()
    assert "gpt2_13b.yaml:56: train_dataset.data_loader.dataset_dir" in capsys.readouterr().out


def test_a_line_says_where_an_old_key_stood(converted):
    report = "\n".join(converted["bert"].report())
    line = (OLD / "bert.yaml").read_text(encoding="utf-8").split("\n").index("  sens: 1024") + 1
    assert f"bert.yaml:{line}: runner_wrapper.sens: 1024" in report


def test_without_output_nothing_is_written(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["convert-config", str(OLD / "bert.yaml")]) == 0
    assert "nothing was written" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"optimizer": {"type": "lion"}}, "optimizer.type: lion is not"),
        ({"lr_schedule": {"type": "WarmUpCosineDecayV1"}}, "lr_schedule.type: WarmUpCosine"),
        ({"model": {"arch": {"type": "BertForMultipleChoice"}}}, "BertForMultipleChoice is not"),
        ({"model": {"model_config": {"hidden_act": "elu"}}}, "hidden_act: elu is not there"),
        ({"layer_scale": True}, "layer_scale: True"),
        ({"train_dataset": {"data_loader": {"type": "CifarDataset"}}}, "CifarDataset is not"),
        (
            {"train_dataset": {"data_loader": {"dataset_files": ["a.tfrecord", "b.tfrecord"]}}},
            "several files",
        ),
        ({"processor": {"tokenizer": {"mask_token": "<mask>"}}}, "'<mask>' is none of"),
        ({"lr_schedule": {"num_cycles": 3.0}}, "another number of waves"),
    ],
)
def test_what_would_train_otherwise_is_refused_with_its_line(tmp_path, change, named):
    path = write(tmp_path, change)
    with pytest.raises(ConfigError, match=f"^{path}:[0-9]+: .*{named}"):
        convert(path)


def test_unknown_keys_are_reported_with_the_nearest_name(tmp_path):
    result = convert(write(tmp_path, {"runner_config": {"batchsize": 3, "max_steps": 7}}))
    unknown = [change for change in result.changes if change.kind == "unknown"]
    assert [change.old for change in unknown] == ["runner_config.batchsize"]
    assert "did you mean runner_config.batch_size?" in unknown[0].why
    assert result.values["runner_config.max_steps"] == 7


def test_values_of_r03_that_mean_something_else_here(tmp_path):
    change = {
        "use_parallel": True,
        "lr_scale": True,
        "context": {"device_target": "GPU"},
        "parallel": {"parallel_mode": "data_parallel"},
        "parallel_config": {"data_parallel": 8, "model_parallel": 2},
        "aicc_config": {"obs_path": "obs://bucket/run"},
    }
    values = convert(write(tmp_path, change)).values
    assert values["lr_schedule.learning_rate"] == pytest.approx(1e-4 * 128 * 8 / 256)
    assert values["context.device_target"] == "auto"
    assert values["parallel.parallel_mode"] == 0
    assert values["parallel_config.model_parallel"] == 1
    assert values["remote_save_url"] == "obs://bucket/run"


def test_defaults_of_r03_are_written_down(tmp_path):
    path = tmp_path / "short.yaml"
    path.write_text("model:\n  arch:\n    type: BertForPreTraining\n", encoding="utf-8")
    values = convert(path).values
    assert values["train_dataset.max_seq_length"] == 128
    assert values["model.model_config.max_position_embeddings"] == 128
    assert values["optimizer.weight_decay"] == 0.0
    assert values["seed"] == 0
    assert load_config(None, layers=[convert(path).layer()], require_inputs=False)


def test_errors_of_the_new_rules_name_the_old_line(tmp_path):
    path = write(tmp_path, {"model": {"model_config": {"num_attention_heads": 7}}})
    with pytest.raises(ConfigError, match=f"^{path}:[0-9]+: model.model_config.num_attention"):
        load_config(None, layers=[convert(path).layer()], require_inputs=False)
