"""What `configs/roberta` ships, against the published recipe and against docs/roberta.md."""

import math
import re

import pytest

from mindmlm.config import load_config
from mindmlm.conversion.architectures import architecture_of

# rows a step -> learning rate, of fairseq's README.pretraining
PUBLISHED = {256: 1e-4, 2048: 5e-4, 8192: 7e-4}
SHAPES = {"tiny": (2, 128, 2, 512), "base": (12, 768, 12, 3072), "large": (24, 1024, 16, 4096)}


@pytest.fixture
def runs(project_root):
    paths = (project_root / "configs" / "roberta").glob("run_*.yaml")
    return {path.name: load_config(path, require_inputs=False).config for path in paths}


@pytest.fixture
def tables(project_root):
    """The rows of the tables of the page, by their first cell."""
    page = (project_root / "docs" / "roberta.md").read_text(encoding="utf-8")
    rows = [re.split(r" *\| *", line.strip("| ")) for line in page.splitlines() if line[:1] == "|"]
    return {row[0].strip("`"): row[1:] for row in rows}


def test_rows_and_learning_rate_go_together(runs, tables):
    for name, config in runs.items():
        rows, rate = tables[name][1:3]
        assert config.global_batch_size == int(rows)
        assert config.lr_schedule.learning_rate == float(rate)
        if "tiny" not in name:
            assert config.lr_schedule.learning_rate == PUBLISHED[config.global_batch_size]
            assert (config.runner_config.max_steps, config.lr_schedule.warmup_steps) == (
                125000,
                10000,
            )
    assert {config.global_batch_size for config in runs.values()} == {16, *PUBLISHED}
    for rows, rate in PUBLISHED.items():
        assert tables[str(rows)] == [f"{rate:.0e}".replace("e-0", "e-"), f"`batch_{rows}.yaml`"]


def test_the_recipe_is_robertas(runs):
    for config in runs.values():
        optimizer, data = config.optimizer, config.train_dataset
        assert (optimizer.beta1, optimizer.beta2, optimizer.eps) == (0.9, 0.98, 1e-6)
        assert optimizer.weight_decay == 0.01
        assert config.runner_wrapper.max_grad_norm is None
        assert (config.lr_schedule.type, config.lr_schedule.power) == ("polynomial", 1.0)
        assert config.lr_schedule.lr_end == 0.0
        assert data.sample_mode == "full_sentences" and data.attend_across_documents
        assert data.masking.masked_lm_prob == 0.15


def test_shapes_and_parameters(runs, tables):
    for name, config in runs.items():
        model = config.model.settings
        rows = model.vocab_size or 8000
        shapes = architecture_of(model).parameters(model, rows).values()
        millions = f"{sum(map(math.prod, shapes)) / 1e6:.1f} M"
        assert tables[name][3].startswith(millions)
        size = name.removesuffix(".yaml").split("_")[2]
        if size == "wwm":
            assert (config.model.arch.type, config.processor.segmenter) == (
                "BertForMaskedLM",
                "jieba",
            )
            assert config.train_dataset.masking.strategy == "whole_word"
            continue
        assert config.model.arch.type == "RobertaForMaskedLM"
        assert config.processor.tokenizer.type == "RobertaTokenizer"
        shape = (model.num_hidden_layers, model.hidden_size, model.num_attention_heads)
        assert (*shape, model.intermediate_size) == SHAPES[size]
        assert (model.longest_row, model.type_vocab_size, model.layer_norm_eps) == (512, 1, 1e-5)
        assert config.train_dataset.max_seq_length == (64 if size == "tiny" else 512)
