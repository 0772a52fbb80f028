"""Two interleaved halves of a batch (`--double_parallel 2`): the numbers of the whole one."""

import numpy as np
import pytest

from mindmlm.build import semi_auto
from mindmlm.config import load_config
from mindmlm.data.sources.files import FileSource
from mindmlm.data.vocabulary import save_tokenizer, train_tokenizer
from mindmlm.errors import ConfigError
from mindmlm.testing.command import SMALL_OPTIONS
from mindmlm.testing.corpus import write_corpus
from mindmlm.testing.small_run import SmallRun

ENGINE = ("use_parallel=True", "parallel.parallel_mode=1", "parallel.full_batch=True")
SMALL = (
    "runner_config.batch_size=4",
    "runner_config.gradient_accumulation_steps=2",
    "train_dataset.max_seq_length=16",
    "lr_schedule.warmup_ratio=null",
    "lr_schedule.learning_rate=1e-3",
    "context.device_target=auto",
)


def run_of(name, options, folder):
    text = write_corpus(folder / "text.txt", documents=40)
    flags = {"dataset_dir": str(text)}
    section = load_config(name, flags=flags, require_inputs=False).config.processor.tokenizer
    small = section.model_copy(update={"train_vocab_size": 300})
    written = save_tokenizer(train_tokenizer(small, FileSource.of_paths(text), None), folder)
    flags["vocab_file"] = str(written[0])
    loaded = load_config(name, [*SMALL_OPTIONS, *SMALL, *ENGINE, *options], flags=flags)
    return SmallRun.create(loaded.config, folder / "cache")


def test_two_halves_train_like_the_whole(graph_mode, monkeypatch, project_root, tmp_path):
    from mindspore.parallel.nn import MicroBatchInterleaved

    # One process is the whole grid, as there are no cards for the engine.
    monkeypatch.setattr(semi_auto, "by_engine", lambda step, plan: step)
    for name in ("RANK_SIZE", "MS_WORKER_NUM"):
        monkeypatch.delenv(name, raising=False)
    name = project_root / "configs" / "bert" / "run_bert_tiny_zh.yaml"
    whole = run_of(name, (), tmp_path)
    halves = run_of(name, ("micro_batch_interleave_num=2",), tmp_path)
    before = whole.weights()
    cells = [type(cell) for cell in halves.model.step.cells_and_names() for cell in cell[1:]]
    assert MicroBatchInterleaved in cells
    for expected, found in zip(whole.train(3), halves.train(3), strict=True):
        assert found.loss == pytest.approx(expected.loss, rel=1e-5)
        assert found.gradient_norm == pytest.approx(expected.gradient_norm, rel=1e-4)
    moved = {key: np.abs(value - before[key]).mean() for key, value in whole.weights().items()}
    assert max(moved.values()) > 1e-7
    for key, value in halves.weights().items():
        if not key.endswith("key.bias"):  # its gradient is 0 but for rounding
            assert np.abs(value - whole.weights()[key]).mean() <= 0.02 * moved[key] + 1e-9, key


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ((), "there are none here"),
        (("use_parallel=True", "parallel_config.data_parallel=2"), "there are none here"),
        (("use_parallel=True", "parallel_config.model_parallel=2"), "waits for each"),
        ((*ENGINE, "runner_config.batch_size=3"), "no two halves"),
    ],
)
def test_other_modes_say_why_not(project_root, options, reason):
    name = project_root / "configs" / "bert" / "run_bert_tiny_zh.yaml"
    flags = {"double_parallel": "2"}
    with pytest.raises(ConfigError, match=rf"micro_batch_interleave_num: 2 .*{reason}"):
        load_config(name, options, flags=flags, require_inputs=False)
