"""Small models and texts for `Trainer`."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mindmlm.data.sources.files import FileSource
from mindmlm.data.vocabulary import train_vocab_file
from mindmlm.testing.corpus import write_corpus

# A BERT of one layer that does three steps.
SMALL: dict[str, Any] = {
    "model": {
        "model_config": {
            "num_hidden_layers": 1,
            "hidden_size": 32,
            "num_attention_heads": 2,
            "intermediate_size": 64,
        }
    },
    "train_dataset": {"max_seq_length": 32},
    "runner_config": {"batch_size": 4, "max_steps": 3},
    "context": {"device_target": "CPU"},
}


@dataclass(frozen=True)
class Files:
    """A text of 60 lines, a text to judge on, and a vocabulary."""

    text: Path
    held_out: Path
    vocabulary: Path


@pytest.fixture(scope="session")
def files(tmp_path_factory) -> Files:
    folder = tmp_path_factory.mktemp("trainer")
    text = write_corpus(folder / "text.txt", documents=60)
    held_out = write_corpus(folder / "held-out.txt", documents=12, seed=2)
    vocabulary = folder / "vocab.txt"
    train_vocab_file(vocabulary, FileSource.of_paths(text), 300, True)
    return Files(text, held_out, vocabulary)


@pytest.fixture(scope="session")
def small():
    """A function of the output folder and of sections: `args` of the small model."""

    def settings(folder: Path, **sections: Any) -> dict[str, Any]:
        return {**SMALL, "output_dir": str(folder), **sections}

    return settings


@pytest.fixture(autouse=True, scope="module")
def graph_mode_afterwards():
    """A run sets MindSpore's mode for the whole process; other tests expect graph mode."""
    yield
    if "mindspore" in sys.modules:
        import mindspore

        mindspore.set_context(mode=mindspore.GRAPH_MODE)
