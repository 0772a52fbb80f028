"""Training on records: the same rows as from text, any order, O(1) resume, clear faults."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mindmlm.data.batches import BatchLayout, EvalBatches, TrainBatches
from mindmlm.data.building.build import build_dataset
from mindmlm.data.building.settings import BuildSettings
from mindmlm.data.masking import MaskingSettings, VocabularyInfo
from mindmlm.data.prepare import CorpusSettings, RecordSettings, prepare_corpus
from mindmlm.data.prepare_records import RecordJob
from mindmlm.data.records.files import RecordFile, record_files
from mindmlm.data.records.manifest import manifest_path
from mindmlm.data.records.tfrecord import read_tfrecord
from mindmlm.data.row_store import RowStore
from mindmlm.data.sampler import GlobalOrder
from mindmlm.data.sources.files import FileSource
from mindmlm.data.static_batches import StaticBatches
from mindmlm.data.store import PAIRS, SINGLE, TokenStore
from mindmlm.errors import DataError
from mindmlm.tokenizers.bert import SPECIAL_TOKENS, BertTokenizer

LENGTH, PREDICTIONS = 32, 5
TOKENIZER = BertTokenizer([*SPECIAL_TOKENS, *(f"w{n}" for n in range(200)), "##x", "##y"])
SETTINGS = BuildSettings(
    max_seq_length=LENGTH,
    masking=MaskingSettings("whole_word", max_predictions_per_seq=PREDICTIONS),
    dupe_factor=3,
    short_seq_prob=0.0,
    shard_bytes=6000,
    workers=1,
)
LOADER = {"tfrecord": "TFRecordDataset", "mindrecord": "MindDataset"}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> FileSource:
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("text") / "raw.txt"
    lines = [
        " ".join(f"w{rng.integers(200)}{rng.choice(['', 'x', 'xy'])}" for _ in range(size))
        for size in rng.integers(3, 40, 250)
    ]
    path.write_text("\n".join(lines) + "\n")
    return FileSource.of_paths(path)


def build(source: FileSource, output: Path, settings: BuildSettings) -> list[RecordFile]:
    loader = LOADER[settings.record_format]
    build_dataset(source, TOKENIZER, settings, output)
    return [RecordFile(path, loader) for path in record_files(str(output), loader)]


def job(files: list[RecordFile], **options) -> RecordJob:
    return RecordJob(files, TOKENIZER, LENGTH, **options)


@pytest.mark.parametrize("record_format", ["tfrecord", "mindrecord"])
@pytest.mark.parametrize("form", ["static", "dynamic"])
def test_every_row_arrives_as_it_was_built(tmp_path, source, form, record_format):
    pytest.importorskip("mindspore")
    settings = replace(SETTINGS, form=form, record_format=record_format)
    files = build(source, tmp_path / "records", settings)
    expected = build(source, tmp_path / "same", replace(settings, record_format="tfrecord"))
    batches = [columns for file in expected for _, columns in read_tfrecord(file.path)]
    store, report = job(files).prepare(tmp_path / "cache")
    name = "input_ids" if form == "static" else "tokens"
    rows = [row for columns in batches for row in columns[name].split()]
    assert report.documents == store.num_samples == len(rows)
    ids = np.arange(store.num_samples)
    if isinstance(store, RowStore):
        batch = store.batch(ids)
        assert np.array_equal(batch.input_ids, np.stack(rows))
        for field in ("masked_lm_positions", "masked_lm_ids", "masked_lm_weights"):
            built = np.stack([row for columns in batches for row in columns[field].split()])
            assert np.array_equal(getattr(batch, field), built)
    else:
        assert store.row_form == SINGLE
        tokens, starts, lengths = store.gather(ids, LENGTH - 2)
        words = [row for columns in batches for row in columns["word_starts"].split()]
        for row, (built, begins) in enumerate(zip(rows, words, strict=True)):
            assert tokens[row, : lengths[row]].tolist() == built[1:-1].tolist()
            assert starts[row, : lengths[row]].tolist() == (begins[1:-1] > 0).tolist()


def test_held_out_rows_have_no_copy_in_training(tmp_path, source):
    files = build(source, tmp_path / "records", SETTINGS)
    train, evaluation, _ = job(files).prepare_with_holdout(tmp_path / "cache", 0.1)
    assert isinstance(train, RowStore)
    assert (
        train.num_samples + evaluation.num_samples
        == job(files).prepare(tmp_path / "cache")[0].num_samples
    )
    batch = train.batch(np.arange(train.num_samples))
    ids = batch.input_ids.copy()
    row, slot = np.nonzero(batch.masked_lm_weights)
    ids[row, batch.masked_lm_positions[row, slot]] = batch.masked_lm_ids[row, slot]
    trained = {tuple(line[1:].tolist()) for line in ids}
    tokens, _, lengths = evaluation.gather(np.arange(evaluation.num_samples), LENGTH)
    judged = [
        (*line[:length].tolist(), TOKENIZER.sep_id, *[0] * (LENGTH - length - 2))
        for line, length in zip(tokens, lengths, strict=True)
    ]
    assert judged
    assert not trained & set(judged)
    assert not np.isin(tokens[tokens > 0], TOKENIZER.special_ids).any()


@pytest.mark.parametrize("fraction", [1e-12, 1 - 1e-12])
def test_both_sides_get_at_least_one_row(tmp_path, source, fraction):
    files = build(source, tmp_path / "records", replace(SETTINGS, form="dynamic", dupe_factor=1))
    train, evaluation, _ = job(files).prepare_with_holdout(tmp_path / "cache", fraction)
    assert train.num_samples
    assert evaluation.num_samples


@pytest.mark.parametrize("form", ["static", "dynamic"])
def test_pairs_keep_their_segments(tmp_path, source, form):
    settings = replace(SETTINGS, form=form, sentence_pairs="sop", dupe_factor=1)
    document = replace(source, options=replace(source.options, text_format="document"))
    files = build(document, tmp_path / "records", settings)
    train, evaluation, _ = job(files).prepare_with_holdout(tmp_path / "cache", 0.3)
    assert evaluation.row_form == PAIRS
    vocabulary = VocabularyInfo.from_tokenizer(TOKENIZER)
    batches = [EvalBatches(evaluation, vocabulary, 8, LENGTH).batch(0)]
    if isinstance(train, TokenStore):
        order = GlobalOrder(train.num_samples, 0)
        masking = MaskingSettings()
        batches += TrainBatches(
            train, order, masking, vocabulary, BatchLayout(4), LENGTH, 0
        ).global_batch(0)
    else:
        batches.append(train.batch(np.arange(4)))
    for batch in batches:
        for ids, segments in zip(batch.input_ids, batch.segment_ids, strict=True):
            ends = np.flatnonzero(ids == TOKENIZER.sep_id)
            if len(ends) == 2:
                assert segments.sum() == ends[1] - ends[0]
                assert segments[ends[0] + 1 : ends[1] + 1].all()


@pytest.mark.parametrize("form", ["static", "dynamic"])
def test_pairs_keep_their_labels(tmp_path, source, form):
    settings = replace(SETTINGS, form=form, sentence_pairs="nsp", dupe_factor=1)
    document = replace(source, options=replace(source.options, text_format="document"))
    files = build(document, tmp_path / "records", settings)
    read = [columns for file in files for _, columns in read_tfrecord(file.path)]
    built = np.concatenate([columns["next_sentence_labels"].values for columns in read])
    assert 0 < built.mean() < 1
    store, _ = job(files, pairs=True).prepare(tmp_path / "cache")
    ids = np.arange(store.num_samples)
    order = np.random.default_rng(0).permutation(ids)
    judged, _ = job(files, pairs=True).prepare_for_evaluation(tmp_path / "cache")
    assert np.array_equal(judged.labels(ids), built)
    if isinstance(store, RowStore):
        found = store.batch(order).next_sentence_labels
    else:
        found = store.labels(order)
        assert store.labels(np.array([-1])) == 0
    assert np.array_equal(found, built[order])


def test_rows_without_pairs_are_refused(tmp_path, source):
    files = build(source, tmp_path / "records", SETTINGS)
    job(files).prepare(tmp_path / "cache")
    with pytest.raises(DataError, match="are no pairs with next_sentence_labels"):
        job(files, pairs=True).prepare(tmp_path / "cache")


def test_static_batches_are_a_function_of_the_step(tmp_path, source):
    store, _ = job(build(source, tmp_path / "records", SETTINGS)).prepare(tmp_path / "cache")
    assert isinstance(store, RowStore)

    def step(number: int, batch: int, micro: int, ranks: int) -> np.ndarray:
        rows = {}
        for rank in range(ranks):
            layout = BatchLayout(batch, micro, ranks, rank)
            batches = StaticBatches(store, GlobalOrder(store.num_samples, 7), layout)
            for place, masked in enumerate(batches.global_batch(number)):
                for row, ids in zip(
                    batches.rows_in_global_batch(place), masked.input_ids, strict=True
                ):
                    rows[int(row)] = ids
        return np.stack([rows[row] for row in sorted(rows)])

    for number in (0, 3, 10_000_000):
        expected = step(number, 8, 1, 1)
        assert np.array_equal(step(number, 2, 2, 2), expected)
        assert np.array_equal(step(number, 1, 2, 4), expected)
    assert not np.array_equal(step(0, 8, 1, 1), step(1, 8, 1, 1))


def test_evaluation_may_be_text_or_records(tmp_path, source):
    files = build(source, tmp_path / "records", SETTINGS)
    records = RecordSettings(tuple(files), (), LENGTH)
    settings = CorpusSettings(None, source, records=records)
    corpus = prepare_corpus(settings, TOKENIZER, tmp_path / "cache")
    assert isinstance(corpus.train, RowStore)
    assert corpus.evaluation.row_form == SINGLE
    both = replace(settings, evaluation=None, records=replace(records, evaluation=tuple(files)))
    same = prepare_corpus(both, TOKENIZER, tmp_path / "cache")
    assert same.evaluation.num_samples == corpus.train.num_samples
    assert "training records" in same.summary()


def test_num_samples_limits_the_rows(tmp_path, source):
    files = build(source, tmp_path / "records", SETTINGS)
    store, report = job(files, num_samples=37).prepare(tmp_path / "cache")
    assert store.num_samples == report.documents == 37


def test_faults_are_explained(tmp_path, source):
    files = build(source, tmp_path / "records", SETTINGS)
    for run, message in (
        (replace(job(files), max_seq_length=64), "have 32 tokens and 5 predictions, the run 64"),
        (job(files, predictions=4), "the run 32 and 4"),
        (
            replace(job(files), tokenizer=BertTokenizer([*SPECIAL_TOKENS, "a"])),
            "built with another vocabulary",
        ),
    ):
        with pytest.raises(DataError, match=message):
            run.prepare(tmp_path / "cache")
    dynamic = build(source, tmp_path / "dynamic", replace(SETTINGS, form="dynamic"))
    with pytest.raises(DataError, match="one kind at a time"):
        job([*files, *dynamic]).prepare(tmp_path / "cache")
    with pytest.raises(DataError, match=r"raise train_dataset\.max_seq_length"):
        replace(job(dynamic), max_seq_length=8).prepare(tmp_path / "cache")
    data = bytearray(files[1].path.read_bytes())
    data[100] ^= 1
    files[1].path.write_bytes(data)
    with pytest.raises(DataError, match="differs from its manifest"):
        job(files).prepare(tmp_path / "cache")


def test_files_made_elsewhere_are_counted(tmp_path, source, caplog):
    files = build(source, tmp_path / "records", SETTINGS)
    for file in files:
        manifest_path(file.path).unlink()
    with caplog.at_level(logging.INFO, "mindmlm"):
        store, _ = job(files).prepare(tmp_path / "cache")
    assert store.num_samples > 0
    assert caplog.text.count("has no manifest") == len(files)
    assert " rows" in caplog.text
    small = replace(job(files), tokenizer=BertTokenizer([*SPECIAL_TOKENS, "a"]))
    with pytest.raises(DataError, match=r"row \d+ holds the token \d+, and the vocabulary has 6"):
        small.prepare(tmp_path / "cache")


def test_an_unfinished_build_is_named(tmp_path, source, caplog):
    files = build(source, tmp_path / "records", SETTINGS)
    (tmp_path / "records" / "dataset.json").unlink()
    found = record_files(str(tmp_path / "records"), "TFRecordDataset")
    assert found == [file.path for file in files]
    assert "its build did not end" in caplog.text
    assert record_files(str(tmp_path / "records" / "part-*"), "TFRecordDataset") == found
    assert record_files(str(tmp_path / "records"), "MindDataset") == []
