"""Every shipped YAML loads, is used, and says what its name says."""

import pytest

from mindmlm.config import load_config, render
from mindmlm.config.nodes import to_python
from mindmlm.config.yaml_source import read_yaml

SIZES = {
    "tiny": (2, 128, 2, 512),
    # Layers for stages and heads for slices.
    "tiny_parallel": (4, 128, 4, 512),
    "mini": (4, 256, 4, 1024),
    "small": (4, 512, 8, 2048),
    "base": (12, 768, 12, 3072),
    "large": (24, 1024, 16, 4096),
}


@pytest.fixture
def runs(project_root):
    return sorted((project_root / "configs").glob("*/run_*.yaml"))


def test_the_promised_runs_are_there(runs):
    names = {path.stem.removeprefix("run_bert_") for path in runs}
    small = {
        f"{size}_{language}" for size in ("tiny", "mini", "small") for language in ("zh", "en")
    }
    assert names >= small | {"base_uncased", "base_chinese", "large_uncased"}


def test_every_run_loads_and_lacks_only_its_text(runs):
    for path in runs:
        loaded = load_config(path, require_inputs=False)
        assert len(loaded.notes) == 1
        assert "--dataset_dir" in loaded.notes[0]


def test_what_is_printed_gives_the_same_run(runs, tmp_path):
    for path in runs:
        loaded = load_config(path, require_inputs=False)
        printed = tmp_path / path.name
        printed.write_text(render(loaded), encoding="utf-8")
        assert load_config(printed, require_inputs=False).config == loaded.config


def test_shapes_and_languages(runs):
    for path in runs:
        if not path.stem.startswith("run_bert_"):
            continue  # the quick start names its own shape
        config = load_config(path, require_inputs=False).config
        _, _, size, language, *parallel = path.stem.split("_")
        model = config.model.settings
        shape = (
            model.num_hidden_layers,
            model.hidden_size,
            model.num_attention_heads,
            model.intermediate_size,
        )
        assert shape == SIZES[f"{size}_parallel" if parallel else size]
        assert config.trainer.model_name.startswith(f"bert_{size}")
        assert config.processor.segmenter == ("jieba" if language in ("zh", "chinese") else "none")
        assert config.train_dataset.masking.strategy == "whole_word"
        assert config.processor.tokenizer.do_lower_case


def test_the_parallel_run_divides_everything_and_keeps_the_batch_of_its_sibling(project_root):
    folder = project_root / "configs" / "bert"
    sibling = load_config(folder / "run_bert_tiny_zh.yaml", require_inputs=False).config
    path = folder / "run_bert_tiny_zh_parallel.yaml"
    config = load_config(path, require_inputs=False).config
    assert config.degrees == (2, 2, 2)
    assert config.processes == 8
    assert (config.parallel_mode, config.optimizer_parallel) == (3, True)
    assert not config.parallel_config.vocab_emb_dp
    assert config.context.device_target == "CPU"
    alone = ["use_parallel=False", "runner_config.batch_size=8"]
    in_one = load_config(path, alone, require_inputs=False).config
    assert in_one.processes == 1
    assert config.global_batch_size == in_one.global_batch_size == sibling.global_batch_size


def test_the_defaults_of_the_layers_are_those_of_the_schema(project_root, tmp_path):
    layers = load_config(project_root / "configs/_base_/context.yaml", require_inputs=False).config
    (tmp_path / "nothing.yaml").write_text("seed: 42\n")
    nothing = load_config(tmp_path / "nothing.yaml", require_inputs=False).config
    for section in ("parallel", "parallel_config", "recompute_config"):
        assert getattr(layers, section) == getattr(nothing, section)
        written = to_python(read_yaml(project_root / "configs/_base_/context.yaml"))[section]
        assert written.keys() == type(getattr(nothing, section)).model_fields.keys()


def test_every_layer_is_used_by_a_run(project_root, runs):
    folder = project_root / "configs"
    used = set(runs)
    for path in runs:
        for base in to_python(read_yaml(path))["base_config"]:
            used.add((path.parent / base).resolve())
    assert used == set(folder.rglob("*.yaml"))
