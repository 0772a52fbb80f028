"""The same text from every place gives the same records by the tool and the same steps of a run."""

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from mindmlm.cli.build_dataset import main
from mindmlm.config import load_config
from mindmlm.data.records.manifest import read_manifest
from mindmlm.parallel.agreement import Agreement
from mindmlm.testing.command import SMALL_OPTIONS
from mindmlm.testing.places import PLACES, Place, Text

FLAGS = ["--text_format=line", "--num_workers=1", "--max_seq_length=32", "--dupe_factor=2"]
FLAGS += ["--max_predictions_per_seq=5", "--segmenter=none"]


def build(text: Text, output: Path, words: Sequence[str], *others: str) -> bytes:
    """Run the tool and return the record files it made."""
    vocabulary = f"--vocab_file={text.vocabulary}"
    assert main([*words, vocabulary, f"--output_file={output}", *FLAGS, *others]) == 0
    return b"".join(path.read_bytes() for path in sorted(output.glob("part-*.tfrecord")))


@pytest.fixture(scope="module")
def expected(text: Text, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    output = tmp_path_factory.mktemp("expected") / "out"
    return build(text, output, [f"--input_file={text.plain}"])


@pytest.fixture
def pipe(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    if place.stdin is not None:
        stream = SimpleNamespace(buffer=io.BytesIO(place.stdin), closed=False, isatty=lambda: False)
        monkeypatch.setattr("sys.stdin", stream)


@pytest.mark.parametrize("place", PLACES, indirect=True)
def test_the_tool_makes_the_same_records(
    text: Text, place: Place, pipe: None, expected: bytes, tmp_path: Path
) -> None:
    assert build(text, tmp_path / "out", place.flags()) == expected
    manifest = read_manifest(tmp_path / "out" / "part-00000.tfrecord")
    assert manifest is not None
    assert manifest.documents == len(text.lines)


@pytest.mark.parametrize("place", ["txt", "jsonl.gz", "in_sqlite", "in_postgres"], indirect=True)
@pytest.mark.parametrize("slicing", ["range", "modulo"])
def test_parts_of_the_tool_hold_every_document_once(
    text: Text, place: Place, slicing: str, tmp_path: Path
) -> None:
    words = [*place.flags(), *(["--slicing", slicing] if not place.input_file else [])]
    rows: list[int] = []
    for index in range(3):
        build(text, tmp_path / str(index), words, f"--part={index}/3", "--short_seq_prob=0")
        manifest = read_manifest(tmp_path / str(index) / "part-00000.tfrecord")
        assert manifest is not None
        rows.append(manifest.rows)
        assert 0 < manifest.documents < len(text.lines)
    whole = tmp_path / "whole"
    build(text, whole, words, "--short_seq_prob=0")
    manifest = read_manifest(whole / "part-00000.tfrecord")
    assert manifest is not None
    assert sum(rows) == manifest.rows


@pytest.fixture(scope="module")
def train(
    project_root: Path, text: Text, tmp_path_factory: pytest.TempPathFactory, graph_mode: None
) -> Callable[..., list[float]]:
    """A function (YAML of the data loader, flags) -> the losses of three steps.

    The step is compiled once; every run begins with the same weights.
    """
    from mindspore import Tensor

    from mindmlm import build as composition
    from mindmlm.data.prepare import prepare_corpus
    from mindmlm.testing.small_run import SmallRun
    from mindmlm.training.phases import PhaseTimer
    from mindmlm.training.state import TrainState

    cache = tmp_path_factory.mktemp("runs")
    first: list[Any] = []

    def run(loader: dict[str, Any], **flags: str) -> list[float]:
        tree = {
            "base_config": [str(project_root / "configs" / "bert" / "run_bert_tiny_zh.yaml")],
            "train_dataset": {"data_loader": loader},
        }
        path = cache / "run.yaml"
        path.write_text(yaml.safe_dump(tree, allow_unicode=True), encoding="utf-8")
        flags["vocab_file"] = str(text.vocabulary)
        config = load_config(path, SMALL_OPTIONS, flags=flags).config
        if not first:
            small = SmallRun.create(config, cache / "cache")
            step = composition.build_train_step(
                config, small.updater, Agreement(small.model.place), small.steps, PhaseTimer()
            )
            parameters = [*small.model.parameters(), *small.updater.optimizer.state()]
            values = [(one, one.asnumpy().copy()) for one in parameters]
            first.extend((small, step, values))
        small, step, values = first
        for parameter, value in values:
            parameter.set_data(Tensor(value))
        settings = composition.corpus_settings(config, cache / "cache")
        corpus = prepare_corpus(settings, small.tokenizer, cache / "cache")
        batches = composition.build_batches(config, corpus.train, small.tokenizer, small.model)
        state = TrainState(loss_scale=composition.build_loss_scale(config))
        losses = []
        for number in range(3):
            losses.append(step.run(batches(number), state).loss)
            state.step += 1
        return losses

    return run


@pytest.fixture(scope="module")
def expected_losses(text: Text, train: Callable[..., list[float]]) -> list[float]:
    found = train({}, dataset_dir=str(text.plain))
    assert len(set(found)) == 3
    return found


@pytest.mark.parametrize("place", PLACES, indirect=True)
def test_a_run_does_the_same_steps(
    place: Place, pipe: None, train: Callable[..., list[float]], expected_losses: list[float]
) -> None:
    where = {"dataset_dir": place.input_file} if place.input_file else {}
    assert train({**place.loader, **where}) == expected_losses


@pytest.mark.parametrize("form", ["--static", "--dynamic"])
def test_records_of_both_formats_train_alike(
    text: Text, form: str, train: Callable[..., list[float]], tmp_path: Path
) -> None:
    found = []
    for loader, name in (("TFRecordDataset", "tfrecord"), ("MindDataset", "mindrecord")):
        output = tmp_path / f"all.{name}"
        words = [f"--input_file={text.plain}", form, f"--output_file={output}", *FLAGS]
        words = [word for word in words if form == "--static" or "predictions" not in word]
        assert main([*words, f"--vocab_file={text.vocabulary}"]) == 0
        found.append(train({"type": loader}, dataset_dir=str(output)))
    assert found[0] == found[1]
    assert len(set(found[0])) == 3
