"""Small runs on a small text."""

import pytest

from mindmlm.config import load_config
from mindmlm.testing.command import SMALL_OPTIONS
from mindmlm.testing.corpus import write_corpus


@pytest.fixture(scope="session")
def text_and_vocabulary(tmp_path_factory):
    """A text file and a vocabulary for it."""
    from mindmlm.data.sources.files import FileSource
    from mindmlm.data.vocabulary import train_vocab_file

    folder = tmp_path_factory.mktemp("text")
    text = write_corpus(folder / "text.txt")
    train_vocab_file(folder / "vocab.txt", FileSource.of_paths(text), 300, True)
    return text, folder / "vocab.txt"


@pytest.fixture(scope="session")
def small_run(project_root, tmp_path_factory, text_and_vocabulary, graph_mode):
    """A function (options...) -> SmallRun; equal texts are prepared once."""
    from mindmlm.testing.small_run import SmallRun

    text, vocabulary = text_and_vocabulary
    cache = tmp_path_factory.mktemp("cache")

    def create(*options):
        loaded = load_config(
            project_root / "configs" / "bert" / "run_bert_tiny_zh.yaml",
            [*SMALL_OPTIONS, *options],
            flags={"dataset_dir": str(text), "vocab_file": str(vocabulary)},
        )
        return SmallRun.create(loaded.config, cache)

    return create


@pytest.fixture(scope="session")
def roberta_run(project_root, tmp_path_factory, text_and_vocabulary, graph_mode):
    """A function (options...) -> SmallRun of a RoBERTa with rows of whole sentences."""
    from mindmlm.data.vocabulary import save_tokenizer
    from mindmlm.testing.small_run import SmallRun
    from mindmlm.testing.tiny_roberta import trained_tokenizer

    text, _ = text_and_vocabulary
    folder = tmp_path_factory.mktemp("roberta")
    tokenizer = trained_tokenizer(text.read_text(encoding="utf-8").splitlines(), 400)
    vocabulary = save_tokenizer(tokenizer, folder)[0]

    def create(*options):
        loaded = load_config(
            project_root / "configs" / "roberta" / "run_roberta_tiny.yaml",
            [*SMALL_OPTIONS, "train_dataset.data_loader.text_format=line", *options],
            flags={"dataset_dir": str(text), "vocab_file": str(vocabulary)},
        )
        return SmallRun.create(loaded.config, folder / "cache")

    return create
