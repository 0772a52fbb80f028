"""Our training batches as `build_dataset` of MindFormers makes them.

The data of a run of ours, in its order, with its masks and its dropout masks, as columns of a data
set of MindSpore: a network of `mindformers_models` then sees in step n what it would see in step n
of the run.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from mindspore.dataset import GeneratorDataset

from mindmlm import build
from mindmlm.config import load_config
from mindmlm.config.schema import RunConfig
from mindmlm.errors import ConfigError
from mindmlm.parallel.micro_batch import ONE_TERM, MicroBatch, term_scales
from mindmlm.runtime.run_folder import RunFolder
from mindmlm.tokenizers.files import load_tokenizer

SCALE = "scale"


class _Epochs:
    """An epoch of batches for each time it is gone through; the next one goes on where it ended."""

    def __init__(self, config: RunConfig) -> None:
        tokenizer = load_tokenizer(config.processor.tokenizer)
        cache = RunFolder(Path(config.output_dir)).dataset_cache
        task = build.task_of(config)
        corpus = task.prepare(build.corpus_settings(config, cache), tokenizer, cache, False)
        model = build.build_model(config, tokenizer)
        self._batches = build.build_batches(config, corpus.train, tokenizer, model)
        batch = build.batch_layout(config).global_batch_size
        self._size = max(1, corpus.train.num_samples // batch)
        self._epoch = 0

    def columns(self) -> list[str]:
        """Names of the arrays of a batch."""
        first = self._arrays(0)
        return [SCALE, *(f"array_{place}" for place in range(len(first) - 1))]

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[tuple[np.ndarray, ...]]:
        begin = self._epoch * self._size
        self._epoch += 1
        for step in range(begin, begin + self._size):
            yield self._arrays(step)

    def _arrays(self, step: int) -> tuple[np.ndarray, ...]:
        batch: MicroBatch = self._batches(step)[0]
        scales = term_scales(ONE_TERM, batch.counts, 1.0).astype(np.float32)
        return (scales, *batch.inputs, *batch.keeps)


class _Registered:
    """Made from `dataset_config`, whose `data_loader` names a YAML of a run of ours.

    Keys of `data_loader`: `run_config`, the YAML; `options`, a list of KEY=VALUE that go above it.
    """

    trainer: str

    def __new__(cls, dataset_config: Mapping[str, Any] | None = None, **_: Any) -> GeneratorDataset:
        """Prepare the text and return the batches.

        Raises:
            ConfigError: the run is for another task, has several micro-batches, or is faulty.
            DataError: no text, or faulty text.
        """
        loader = dict((dataset_config or {}).get("data_loader") or {})
        if not loader.get("run_config"):
            raise ConfigError(
                "train_dataset.data_loader.run_config: name a YAML of mindmlm with the text, the "
                "vocabulary and the model (and options: [KEY=VALUE] above it)"
            )
        config = load_config(loader["run_config"], list(loader.get("options") or [])).config
        if config.trainer.type != cls.trainer:
            raise ConfigError(f"{loader['run_config']}: trainer.type is not {cls.trainer}")
        if config.micro_batches > 1 or config.processes > 1:
            raise ConfigError(
                f"{loader['run_config']}: MindFormers takes one batch a step from one process; set "
                "gradient_accumulation_steps, micro_batch_num and the degrees to 1"
            )
        epochs = _Epochs(config)
        return GeneratorDataset(
            epochs,
            epochs.columns(),
            shuffle=False,
            num_parallel_workers=1,
            python_multiprocessing=False,
        )


class MaskedLanguageModelData(_Registered):
    """Masked rows of text."""

    trainer = "MaskedLanguageModelingTrainer"


class QuestionAnsweringData(_Registered):
    """Questions, contexts and places of answers."""

    trainer = "QuestionAnsweringTrainer"


class TextBlockData(_Registered):
    """Blocks of text for GPT-2."""

    trainer = "CausalLanguageModelingTrainer"


# CausalLanguageModelDataset is MindFormers' own; the other two names are those of r0.3.
DATA_SETS = {
    "MaskLanguageModelDataset": MaskedLanguageModelData,
    "QuestionAnsweringDataset": QuestionAnsweringData,
    "TextBlockDataset": TextBlockData,
}
