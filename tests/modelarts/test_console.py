"""The flags of the console in the words of the configuration."""

from pathlib import Path

import pytest

from mindmlm.cli.arguments import parse_arguments
from mindmlm.cli.modelarts import first_look, is_needed, translated
from mindmlm.config import load_config
from mindmlm.errors import ConfigError
from mindmlm.modelarts.console import DataSet, dataset

# As the console of the tutorial passes them, but for the names of files.
CONSOLE = (
    "--use_parallel=True --pipeline_parallel=2 --model_parallel=1 --data_parallel=2 "
    "--batch_size=4 --micro_size=8 --recompute=True --double_parallel=1 "
    "--config=configs/gpt2/run_gpt2_tiny.yaml --dataset_id=wiki.mindrecord"
)


def loaded(words: list[str]):
    arguments = translated(parse_arguments(words))
    first = first_look(arguments)
    config = load_config(
        first.config_path, first.options, first.dotted, first.flags, require_inputs=False
    )
    return arguments, config


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    """Where the platform has put the training input."""
    folder = tmp_path / "inputs" / "dataset_0"
    folder.mkdir(parents=True)
    for name in ("wiki.mindrecord", "wiki.mindrecord.db", "other.mindrecord"):
        (folder / name).write_bytes(b"x")
    return folder


@pytest.mark.parametrize("flag", ["dataset", "data_url"])
def test_the_form_of_the_tutorial(inputs, flag, tmp_path, monkeypatch):
    # The platform's working folder is not that of the code.
    monkeypatch.chdir(tmp_path)
    arguments, found = loaded([f"--{flag}={inputs}", *CONSOLE.split()])
    config = found.config
    loader = config.train_dataset.data_loader
    assert loader.dataset_dir == str(inputs / "wiki.mindrecord")
    assert loader.type == "MindDataset"
    assert config.degrees == (2, 1, 2)
    assert (config.parallel_config.micro_batch_num, config.runner_config.batch_size) == (8, 4)
    assert config.recompute_config.recompute
    assert config.micro_batch_interleave_num == 1
    assert arguments.console == {}
    assert not is_needed(arguments, found)
    again, same = loaded(arguments.words())
    assert again == arguments
    assert same.config == config


def test_results_and_data_at_addresses_have_to_be_copied():
    words = ["--config=configs/bert/run_bert_tiny_zh.yaml"]
    assert not is_needed(*loaded(words))
    assert is_needed(*loaded([*words, "--dataset=obs://bucket/data"]))
    assert is_needed(*loaded([*words, "--vocab_file=obs://bucket/vocab.txt"]))
    assert is_needed(*loaded([*words, "--load_checkpoint=s3://bucket/run"]))
    for flag in ("remote_save_url", "train_url"):
        arguments, found = loaded([*words, f"--{flag}=/outputs/train_url_0"])
        assert found.config.remote_save_url == "/outputs/train_url_0"
        assert is_needed(arguments, found)


def test_an_option_of_the_users_wins_over_the_ending(inputs):
    words = ["--config=configs/gpt2/run_gpt2_tiny.yaml", f"--dataset={inputs}"]
    words += ["--dataset_id=wiki.mindrecord"]
    key = "train_dataset.data_loader.type"
    _, found = loaded([*words, "--options", f"{key}=TFRecordDataset"])
    assert found.config.train_dataset.data_loader.type == "TFRecordDataset"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--dataset_id=a", "names a file of the folder --dataset, which is missing"),
        ("--dataset={inputs} --data_url=/other", "contradicts --dataset"),
        ("--dataset={inputs} --dataset_dir=x.txt", "--dataset names the data already"),
        ("--dataset={inputs} --dataset_id=../x", "expected the name of something in --dataset"),
        ("--dataset={inputs} --dataset_id=/etc/passwd", "expected the name of something"),
        ("--dataset={inputs} --dataset_id=wiki", "not in .*there are other.mindrecord, wiki"),
        ("--dataset={inputs} --dataset_id=other.mindrecord", "other.mindrecord.db is not beside"),
        ("--train_url=/a --remote_save_url=/b", "--train_url /a: contradicts"),
        ("--remote_save_url=ftp://a/b", "ftp:// is not known; expected obs://"),
        ("--remote_save_url=obs://key:secret@bucket/a", "keys belong in the environment"),
        ("--output_dir=/a --remote_save_url=/a", "is output_dir itself"),
        ("--datset=x", "did you mean --dataset"),
    ],
)
def test_what_cannot_be(inputs, words, message):
    with pytest.raises(ConfigError, match=message):
        loaded(
            [
                "--config=configs/bert/run_bert_tiny_zh.yaml",
                *words.format(inputs=inputs).split(),
            ]
        )


def test_of_a_folder_only_what_is_named_is_downloaded():
    names = ["a.mindrecord", "a.mindrecord.db", "a.mindrecord2", "b/a.mindrecord", "b/c.txt"]
    assert [name for name in names if DataSet("obs://x", "a.mindrecord").wanted()(name)] == names[
        :2
    ]
    assert [name for name in names if DataSet("obs://x", "b").wanted()(name)] == names[3:]
    assert all(map(DataSet("obs://x").wanted(), names))
    assert dataset({}, {"dataset_dir": "x"}) is None
