"""The network that MindSpore's engine is given computes what the models compute.

Without a card the engine cannot run; its network can, on one process, as MindSpore ignores
strategies there.
"""

import numpy as np
import pytest

from mindmlm import build
from mindmlm.build import semi_auto
from mindmlm.config import load_config
from mindmlm.errors import MindmlmError
from mindmlm.testing.command import SMALL_OPTIONS
from mindmlm.testing.corpus import write_corpus
from mindmlm.testing.small_run import SmallRun

MODEL, DATA = "model.model_config.", "train_dataset."
ENGINE = ("use_parallel=True", "parallel.parallel_mode=1", "parallel.full_batch=True")
SMALL = (
    *(
        f"{MODEL}{key}={value}"
        for key, value in {"hidden_size": 24, "num_attention_heads": 3}.items()
    ),
    f"{MODEL}num_hidden_layers=1",
    f"{DATA}max_seq_length=16",
    "runner_config.batch_size=3",
    "lr_schedule.warmup_ratio=null",
    "lr_schedule.learning_rate=1e-3",
    "context.device_target=auto",
)
CASES = {
    "bert": ("bert/run_bert_tiny_zh.yaml", ()),
    "bert_pre_norm_packed": (
        "bert/run_bert_tiny_zh.yaml",
        (
            f"{MODEL}post_layernorm_residual=False",
            f"{DATA}sample_mode=packed",
            f"{DATA}attend_across_documents=False",
            f"{MODEL}hidden_act=gelu_tanh",
        ),
    ),
    "roberta": ("roberta/run_roberta_tiny.yaml", (f"{DATA}data_loader.text_format=line",)),
    "roberta_packed": (
        "roberta/run_roberta_tiny.yaml",
        (
            f"{DATA}data_loader.text_format=line",
            f"{DATA}sample_mode=packed",
            f"{DATA}attend_across_documents=False",
            f"{MODEL}hidden_act=gelu_tanh",
        ),
    ),
    "gpt2": ("gpt2/run_gpt2_tiny.yaml", ()),
    "gpt2_packed": (
        "gpt2/run_gpt2_tiny.yaml",
        (f"{DATA}attend_across_documents=False", "runner_wrapper.max_grad_norm=null"),
    ),
}


@pytest.fixture
def alone(monkeypatch):
    """A step without the engine: one process is the whole grid."""
    monkeypatch.setattr(semi_auto, "by_engine", lambda step, plan: step)
    for name in ("RANK_SIZE", "MS_WORKER_NUM"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("engine") / "text.txt")


def vocabulary(name, text):
    from mindmlm.data.sources.files import FileSource
    from mindmlm.data.vocabulary import train_tokenizer

    config = load_config(name, flags={"dataset_dir": str(text)}, require_inputs=False).config
    section = config.processor.tokenizer.model_copy(update={"train_vocab_size": 300})
    return train_tokenizer(section, FileSource.of_paths(text), None)


def run_of(name, options, text, folder):
    from mindmlm.data.vocabulary import save_tokenizer

    written = save_tokenizer(vocabulary(name, text), folder)
    flags = {"dataset_dir": str(text), "vocab_file": str(written[0])}
    loaded = load_config(name, [*SMALL_OPTIONS, *SMALL, *options], flags=flags)
    return SmallRun.create(loaded.config, folder / "cache")


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(name, marks=() if name in ("bert", "gpt2") else pytest.mark.slow)
        for name in CASES
    ],
)
def test_steps_of_the_engines_network_are_those_of_the_model(
    graph_mode, alone, project_root, text, tmp_path, case
):
    file, options = CASES[case]
    name = project_root / "configs" / file
    ours, theirs = (run_of(name, (*options, *extra), text, tmp_path) for extra in ((), ENGINE))
    before = theirs.weights()
    assert before.keys() == ours.weights().keys()
    for expected, found in zip(ours.train(3), theirs.train(3), strict=True):
        assert found.loss == pytest.approx(expected.loss, rel=1e-5)
        assert found.gradient_norm == pytest.approx(expected.gradient_norm, rel=1e-4)
        assert (found.tokens, found.overflow) == (expected.tokens, False)
    for key, value in ours.weights().items():
        if key.endswith("key.bias"):  # its gradient is 0 but for rounding
            continue
        change = np.abs(value - before[key]).mean()
        assert change > 1e-6, key
        assert np.abs(theirs.weights()[key] - value).mean() < 0.02 * change, key
    (saved, places), (expected, at) = map(build.tensors_to_save, (theirs.updater, ours.updater))
    assert places == at
    for group, arrays in expected.items():
        assert saved[group].keys() == arrays.keys()
    for name, moment in expected["optimizer"].items():
        difference = np.abs(saved["optimizer"][name] - moment).mean()
        assert difference <= 1e-3 * np.abs(moment).mean() + 1e-9, name


def test_ranks_that_disagree_are_stopped():
    from mindmlm.training.semi_auto_step import _check_equal

    _check_equal(np.array([1.0, 1.0 + 1e-6]))
    _check_equal(np.array([np.nan, np.nan]))
    for norms in ([1.0, 1.1], [1.0, np.inf], [np.nan, 1.0]):
        with pytest.raises(MindmlmError, match="ranks have different gradient norms"):
            _check_equal(np.array(norms))


@pytest.mark.parametrize(
    ("options", "evaluates"),
    [
        (ENGINE, False),
        (("use_parallel=False", "parallel.parallel_mode=1"), True),
        (("use_parallel=True", "parallel.parallel_mode=3"), True),
        ((), True),
    ],
)
def test_the_mode_chooses_the_engine(project_root, options, evaluates):
    path = project_root / "configs" / "gpt2" / "run_gpt2_tiny.yaml"
    config = load_config(path, options, require_inputs=False).config
    assert build.engine_of(config).evaluates is evaluates
