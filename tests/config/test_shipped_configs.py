"""Every shipped YAML loads, is used, and says what its name says."""

import pytest

from mindmlm.config import load_config, render
from mindmlm.config.nodes import to_python
from mindmlm.config.yaml_source import read_yaml

SIZES = {
    "tiny": (2, 128, 2, 512),
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
        _, _, size, language = path.stem.split("_")
        model = config.model.settings
        shape = (
            model.num_hidden_layers,
            model.hidden_size,
            model.num_attention_heads,
            model.intermediate_size,
        )
        assert shape == SIZES[size]
        assert config.trainer.model_name.startswith(f"bert_{size}")
        assert config.processor.segmenter == ("jieba" if language in ("zh", "chinese") else "none")
        assert config.train_dataset.masking.strategy == "whole_word"
        assert config.processor.tokenizer.do_lower_case


def test_every_layer_is_used_by_a_run(project_root, runs):
    folder = project_root / "configs"
    used = set(runs)
    for path in runs:
        for base in to_python(read_yaml(path))["base_config"]:
            used.add((path.parent / base).resolve())
    assert used == set(folder.rglob("*.yaml"))
