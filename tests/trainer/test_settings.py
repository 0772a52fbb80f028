"""What arguments of `Trainer` become in the configuration; nothing is trained here."""

from dataclasses import fields

import numpy as np
import pytest

from mindmlm import Trainer, TrainingArguments
from mindmlm.config import RunConfig, load_config
from mindmlm.config.describe import keys
from mindmlm.config.named_runs import TASKS, named_run, named_runs
from mindmlm.config.render import to_plain
from mindmlm.config.schema import BertModelConfig, GPT2ModelConfig
from mindmlm.errors import ConfigError

NAME = {"task": "fill_mask", "model": "bert_tiny_zh"}

# Field -> a value that is not the default of bert_tiny_zh.
VALUES = {
    "output_dir": "elsewhere",
    "seed": 7,
    "data_seed": 8,
    "use_parallel": True,
    "profile": True,
    "sink_mode": True,
    "num_train_epochs": 9,
    "max_steps": 10,
    "batch_size": 11,
    "per_device_train_batch_size": 12,
    "per_device_eval_batch_size": 13,
    "gradient_accumulation_steps": 2,
    "learning_rate": 0.5,
    "lr_scheduler_type": "cosine",
    "warmup_steps": 3,
    "warmup_ratio": 0.25,
    "optim": "AdamWeightDecay",
    "weight_decay": 0.125,
    "adam_beta1": 0.5,
    "adam_beta2": 0.75,
    "adam_epsilon": 1e-3,
    "max_grad_norm": 3.5,
    "logging_steps": 17,
    "eval_steps": 19,
    "eval_on_start": False,
    "save_strategy": "no",
    "save_steps": 21,
    "save_total_limit": 2,
    "resume_from_checkpoint": "latest",
}


def flat(config, prefix=""):
    for name, value in config.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def differences(one, other):
    """Keys that differ, with both values."""
    first, second = dict(flat(to_plain(one))), dict(flat(to_plain(other)))
    return {key: (first[key], second[key]) for key in first if first[key] != second[key]}


def test_a_name_is_the_configuration_that_ships():
    assert (
        Trainer(**NAME).config
        == load_config(named_run("bert_tiny_zh"), require_inputs=False).config
    )


@pytest.mark.parametrize("name", sorted(named_runs()))
def test_every_shipped_name_loads(name, monkeypatch):
    config = Trainer(model=name).config
    assert Trainer(
        task=next(t for t, n in TASKS.items() if n.trainer == config.trainer.type), model=name
    )


@pytest.mark.parametrize("task", TASKS)
def test_a_task_alone_has_a_model(task):
    assert Trainer(task=task).config.trainer.type == TASKS[task].trainer


def test_every_field_is_tried():
    assert set(VALUES) == {field.name for field in fields(TrainingArguments)}


@pytest.mark.parametrize("name", VALUES)
def test_a_field_changes_its_key_and_no_other(name, monkeypatch):
    monkeypatch.setenv("MS_WORKER_NUM", "1")
    plain = Trainer(**NAME).config
    changed = Trainer(TrainingArguments(**{name: VALUES[name]}), **NAME)
    found = differences(plain, changed.config)
    if name == "optim":
        assert found == {}
        with pytest.raises(ConfigError, match=r"optimizer\.type"):
            _ = Trainer(TrainingArguments(optim="Rprop"), **NAME).config
        return
    metadata = {field.name: field.metadata["key"] for field in fields(TrainingArguments)}
    key = metadata[name] or "callbacks.CheckpointMonitor.save_checkpoint_steps"
    expected = {key: None if name == "save_strategy" else VALUES[name]}
    if name == "warmup_steps":
        expected["lr_schedule.warmup_ratio"] = None  # bert_tiny_zh has one
    assert {key: after for key, (_, after) in found.items()} == expected
    assert key in keys()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sink_size": 2}, "sink_size: MindFormers never passed it on"),
        ({"initial_epoch": 2}, "initial_epoch: a resumed run knows its step"),
        ({"lerning_rate": 2}, "did you mean learning_rate"),
        ({"save_strategy": "seconds"}, "expected no or steps, got 'seconds'"),
        ({"save_strategy": "no", "save_steps": 5}, "contradicts save_strategy no"),
    ],
)
def test_wrong_training_arguments(arguments, message):
    with pytest.raises(ConfigError, match=message):
        TrainingArguments(**arguments)


def test_wrong_values_name_the_argument():
    with pytest.raises(
        ConfigError, match=r"TrainingArguments.learning_rate: lr_schedule.learn.*-1"
    ):
        _ = Trainer(TrainingArguments(learning_rate=-1.0), **NAME).config
    contradiction = TrainingArguments(batch_size=4, per_device_train_batch_size=8)
    with pytest.raises(ConfigError, match=r"contradicts runner_config\.batch_size"):
        _ = Trainer(contradiction, **NAME).config


def test_layers_in_their_order(tmp_path):
    args = {
        "runner_config": {"batch_size": 3, "epochs": 2},
        "seed": np.int64(5),
        "output_dir": tmp_path,
    }
    trainer = Trainer(args, **NAME, train_dataset=tmp_path)
    trainer.set_parallel_config(micro_batch_num=6)
    config = trainer.config
    assert (config.runner_config.batch_size, config.runner_config.epochs, config.seed) == (3, 2, 5)
    assert config.output_dir == config.train_dataset.data_loader.dataset_dir == str(tmp_path)
    assert config.parallel_config.micro_batch_num == 6
    assert config.model.settings.hidden_size == 128


def test_the_same_from_a_file_a_dict_and_an_object(tmp_path):
    path = named_run("gpt2_tiny")
    expected = load_config(path, require_inputs=False).config
    assert Trainer(path).config == Trainer(str(path), task="text_generation").config == expected
    assert Trainer(to_plain(expected)).config == Trainer(expected).config == expected
    saved = Trainer(expected).save_config_to_yaml(tmp_path / "deep" / "run.yaml")
    assert Trainer(saved).config == expected
    based = Trainer({"base_config": [str(path)], "seed": 3})
    assert differences(expected, based.config) == {"seed": (42, 3)}


def test_descriptions_of_networks():
    shape = {"num_hidden_layers": 3, "hidden_size": 48, "num_attention_heads": 3}
    described = Trainer(task="fill_mask", model=BertModelConfig(type="BertConfig", **shape))
    expected = BertModelConfig(type="BertConfig", **shape)
    assert described.config.model.settings.model_dump() == expected.model_dump()
    partly = Trainer({"seed": 1}, task="text_generation", model=shape).config.model.settings
    assert isinstance(partly, GPT2ModelConfig)
    assert (partly.num_hidden_layers, partly.hidden_size, partly.type) == (3, 48, "GPT2Config")


def test_more_than_one_process_is_a_parallel_run():
    trainer = Trainer(**NAME)
    trainer.set_parallel_config(data_parallel=2, optimizer_shard=True)
    assert trainer.config.degrees == (2, 1, 1)
    assert trainer.config.optimizer_parallel
    with pytest.raises(ConfigError, match="2 processes"):
        trainer.train()


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Trainer(), "task general needs args"),
        (lambda: Trainer(TrainingArguments(seed=1)), "task general needs args"),
        (lambda: Trainer(task="fill-mask"), "did you mean fill_mask"),
        (lambda: Trainer(model="bert_tiny_zn"), "did you mean bert_tiny_zh"),
        (lambda: Trainer("run.yaml", model="gpt2"), "give one of the two"),
        (lambda: Trainer("nowhere.yaml").config, "nowhere.yaml: no such file"),
        (lambda: Trainer(3, **NAME).config, "args is a int; expected the path of a YAML"),
        (
            lambda: Trainer({"seeed": 3}, **NAME).config,
            "args: seeed: unknown key.*did you mean seed",
        ),
        (lambda: Trainer({"seed": object()}, **NAME).config, "args: a configuration cannot hold"),
        (lambda: Trainer(task="text_generation", model="bert_tiny_zh").config, "is task fill_mask"),
        (lambda: Trainer(**NAME, model_config=1), "unexpected keyword"),
        (lambda: Trainer(task="fill_mask", model=3), "model is a int"),
        (lambda: Trainer(**NAME, train_dataset="gone/").train(), r"Trainer\(train_dataset\).*gone"),
        (lambda: Trainer(**NAME).train(), "needs a text"),
        (lambda: Trainer(**NAME).set_parallel_config(expert_parallel=2), "unknown key"),
        (lambda: Trainer(**NAME).set_recompute_config(recompute="perhaps"), "True or False"),
        (lambda: Trainer(**NAME).predict(input_data="[MASK]", top_k=3), "no setting top_k"),
        (lambda: Trainer(**NAME, tokenizer=3).config, "int is no tokenizer"),
        (lambda: Trainer(**NAME, tokenizer="/").config, "no vocab.txt in /"),
    ],
)
def test_wrong_arguments(build, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((ConfigError, TypeError), match=message):
        build()
    assert list(tmp_path.iterdir()) == []


def test_a_failed_change_changes_nothing():
    trainer = Trainer(**NAME)
    before = trainer.config
    with pytest.raises(ConfigError):
        trainer.set_parallel_config(model_parallel=3)
    assert trainer.config == before
    assert isinstance(before, RunConfig)
