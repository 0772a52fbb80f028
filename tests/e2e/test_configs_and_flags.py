"""Every shipped YAML and every flag through the command line."""

import pytest
import yaml

from mindmlm.config.flags import FLAGS

# A value for each flag that differs from that of the run below.
VALUES = {
    "run_mode": "finetune",
    "load_checkpoint": "latest",
    "output_dir": "elsewhere",
    "dataset_dir": "other.txt",
    "eval_dataset_dir": "other.txt",
    "predict_data": "今天天气很[MASK]",
    "vocab_file": "other.txt",
    "merges_file": "other.txt",
    "num_samples": "77",
    "epochs": "7",
    "max_steps": "77",
    "batch_size": "7",
    "save_checkpoint_steps": "7",
    "seed": "7",
    "device_target": "CPU",
    "device_id": "7",
    "mode": "1",
    "use_parallel": "True",
    "sink_mode": "True",
    "profile": "True",
    "data_parallel": "7",
    "model_parallel": "2",
    "pipeline_parallel": "2",
    "micro_size": "7",
    "recompute": "True",
    "double_parallel": "2",
    "remote_save_url": "s3://bucket/job",
}
# Words without which a flag is refused; they come last, so they win.
BESIDE = {
    "merges_file": ["--vocab_file=other.txt"],
    "double_parallel": [
        "--run_mode=train",
        "--use_parallel=True",
        "--parallel.parallel_mode=1",
        "--device_target=Ascend",
        "--model_parallel=2",
    ],
}


def value_at(tree, path):
    for key in path.split("."):
        tree = tree[key]
    return tree


NETWORKS = {"gpt2": "GPT2Config", "electra": "ElectraConfig", "roberta": "RobertaConfig"}


def test_every_shipped_config_passes_a_dry_run_and_prints_itself(command):
    paths = sorted((command.project_root / "configs").glob("*/run_*.yaml"))
    assert len(paths) >= 9
    for path in paths:
        dry = command.here(f"--config={path}", "--dry_run")
        assert dry.code == 0, dry.stderr
        assert dry.stdout == ""
        assert "the configuration is good" in dry.stderr
        printed = command.here(f"--config={path}", "--print_config")
        assert printed.code == 0, printed.stderr
        network = NETWORKS.get(path.parent.name, "BertConfig")
        if path.name == "run_roberta_wwm_ext_base_chinese.yaml":
            network = "BertConfig"
        assert yaml.safe_load(printed.stdout)["model"]["model_config"]["type"] == network
        assert f"# {path}" in printed.stdout or ".yaml:" in printed.stdout


def test_every_flag_has_a_value_here():
    assert VALUES.keys() == {flag.name for flag in FLAGS}


@pytest.mark.parametrize("flag", FLAGS, ids=lambda flag: flag.name)
@pytest.mark.parametrize("mode", ["train", "eval"])
def test_a_flag_sets_its_key_and_says_so(command, tmp_path, monkeypatch, flag, mode):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n天\n")
    run = "gpt2/run_gpt2_tiny.yaml" if flag.name == "merges_file" else "bert/run_bert_tiny_zh.yaml"
    base = command.project_root / "configs" / run
    words = [f"--config={base}", "--print_config", *BESIDE.get(flag.name, [])]
    if flag.name != "run_mode":
        words.append(f"--options=run_mode={mode}")
    value = VALUES[flag.name]
    before = yaml.safe_load(command.here(*words).stdout)
    done = command.here(*words, f"--{flag.name}", value)
    assert done.code == 0, done.stderr
    after = yaml.safe_load(done.stdout)
    target = flag.target(mode)
    assert value_at(after, target) != value_at(before, target)
    assert str(value_at(after, target)) == value
    assert f"# --{flag.name}" in done.stdout


def test_precedence_yaml_then_options_then_flags(command, tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("runner_config: {epochs: 2, batch_size: 2, max_steps: 2}\n")
    done = command.here(
        f"--config={path}",
        "--print_config",
        "--options",
        "runner_config.epochs=3",
        "--runner_config.batch_size=3",
        "--batch_size=4",
    )
    section = yaml.safe_load(done.stdout)["runner_config"]
    assert (section["max_steps"], section["epochs"], section["batch_size"]) == (2, 3, 4)


def test_dry_run_and_print_config_write_nothing(command, tmp_path):
    folder = tmp_path / "run"
    for switch in ("--dry_run", "--print_config"):
        assert command.here(*command.words(folder, switch)).code == 0
    assert not folder.exists()
