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
    names = {path.stem.removeprefix("run_bert_") for path in runs if "bert" in path.stem}
    small = {
        f"{size}_{language}" for size in ("tiny", "mini", "small") for language in ("zh", "en")
    }
    assert names >= small | {"base_uncased", "base_chinese", "large_uncased"}


def test_every_run_loads_and_lacks_only_its_text(runs):
    for path in runs:
        loaded = load_config(path, require_inputs=False)
        lacks = ["--dataset_dir"]
        if loaded.config.trainer.type == "QuestionAnsweringTrainer":
            lacks.append("--load_checkpoint")
        if loaded.config.train_dataset.masking.strategy == "macbert":
            lacks.append("train_dataset.masking.similar_words.file=")
        if loaded.config.optimizer.keep_state:
            lacks.append("--run_mode finetune --load_checkpoint")
        if loaded.config.trainer.type == "DistillationTrainer":
            lacks.append("--distillation.teacher")
        assert len(loaded.notes) == len(lacks)
        assert all(flag in note for flag, note in zip(lacks, loaded.notes, strict=True))


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


GPT2_SIZES = {
    "tiny": (2, 128, 2),
    "mini": (4, 256, 4),
    "gpt2": (12, 768, 12),
    "medium": (24, 1024, 16),
    "large": (36, 1280, 20),
    "xl": (48, 1600, 25),
    "13b": (40, 5120, 40),
    "52b": (64, 8192, 32),
}


@pytest.mark.parametrize("size", GPT2_SIZES)
def test_shapes_of_gpt2(project_root, size):
    name = size if size == "gpt2" else f"gpt2_{size}"
    path = project_root / "configs" / "gpt2" / f"run_{name}.yaml"
    config = load_config(path, require_inputs=False).config
    model = config.model.settings
    shape = (model.num_hidden_layers, model.hidden_size, model.num_attention_heads)
    assert shape == GPT2_SIZES[size]
    assert model.inner_size == 4 * model.hidden_size
    assert config.trainer.model_name == name
    assert config.train_dataset.sample_mode == "packed"
    assert config.processor.tokenizer.type == "GPT2Tokenizer"
    small = size in ("tiny", "mini")
    # Of 52b, model_parallel 8 cuts the rows, which MindSpore's engine cuts evenly only.
    assert model.vocab_size == (None if small else 50264 if size == "52b" else 50257)
    assert model.max_position_embeddings == (512 if small else 1024)


def test_the_13b_run_has_the_plan_of_four_machines(project_root):
    path = project_root / "configs" / "gpt2" / "run_gpt2_13b.yaml"
    config = load_config(path, require_inputs=False).config
    assert config.degrees == (4, 2, 4)
    assert config.processes == 32
    assert (config.context.mode, config.context.device_target) == (0, "Ascend")
    assert config.context.max_device_memory == "31GB"
    parallel, cuts = config.parallel, config.parallel_config
    assert (config.parallel_mode, parallel.full_batch, config.optimizer_parallel) == (1, True, True)
    assert (cuts.micro_batch_num, cuts.vocab_emb_dp, cuts.gradient_aggregation_group) == (
        24,
        True,
        4,
    )
    recompute = config.recompute_config
    assert (recompute.recompute, recompute.recompute_slice_activation) == (True, True)
    assert recompute.mp_comm_recompute
    assert not recompute.parallel_optimizer_comm_recompute


@pytest.mark.parametrize("layers", [[0, 2, 4, 7, 9, 11], [0, 11]])
@pytest.mark.parametrize("language", ["uncased", "chinese"])
def test_students_of_a_base_model_learn_as_distilbert_did(project_root, language, layers):
    name = f"run_distill_{len(layers)}l_base_{language}.yaml"
    config = load_config(project_root / "configs" / "distill" / name, require_inputs=False).config
    teacher = load_config(
        project_root / "configs" / "bert" / f"run_bert_base_{language}.yaml", require_inputs=False
    ).config
    settings = config.model.settings.model_copy(update={"num_hidden_layers": 12})
    assert settings == teacher.model.settings
    section = config.distillation
    assert section.teacher_layers == layers
    assert (section.temperature, section.alpha_ce, section.alpha_mlm, section.alpha_cos) == (
        *(2.0, 5.0, 2.0, 1.0),
    )
    optimizer = config.optimizer
    assert (optimizer.beta1, optimizer.beta2, optimizer.eps, optimizer.weight_decay) == (
        *(0.9, 0.98, 1e-6, 0.0),
    )
    assert (config.lr_schedule.learning_rate, config.lr_schedule.warmup_ratio) == (5e-4, 0.05)
    assert (config.runner_wrapper.max_grad_norm, config.global_batch_size) == (5.0, 250)
    masking = config.train_dataset.masking
    assert (masking.strategy, masking.smoothing, masking.masked_lm_prob) == (
        "rare_token",
        0.7,
        0.15,
    )
    assert config.processor.segmenter == teacher.processor.segmenter


@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_the_parallel_run_divides_everything_and_keeps_the_batch_of_its_sibling(
    project_root, family
):
    folder = project_root / "configs" / family
    (path,) = folder.glob("run_*_parallel.yaml")
    sibling = load_config(folder / path.name.replace("_parallel", ""), require_inputs=False).config
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
