"""Prepared data sets: contents, any number of workers, crashes at any point, resuming."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mindmlm.data.building import build as build_module
from mindmlm.data.building import shards as shards_module
from mindmlm.data.building.build import build_dataset
from mindmlm.data.building.settings import BuildSettings
from mindmlm.data.masking import MaskingSettings
from mindmlm.data.records.manifest import manifest_path, verified_manifest
from mindmlm.data.records.mindrecord import index_of, read_mindrecord
from mindmlm.data.records.tfrecord import read_tfrecord
from mindmlm.errors import DataError
from mindmlm.tokenizers.bert import BertTokenizer

LENGTH, PREDICTIONS = 32, 5
STATIC = BuildSettings(
    max_seq_length=LENGTH,
    masking=MaskingSettings("whole_word", max_predictions_per_seq=PREDICTIONS),
    dupe_factor=2,
    shard_bytes=4000,
    workers=1,
)
DYNAMIC = replace(STATIC, form="dynamic", dupe_factor=1)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.name: path.read_bytes()
        for path in sorted(folder.iterdir())
        if path.suffix in (".tfrecord", ".json")
    }


def rows_of(files: list[Path], read) -> dict[str, list[list]]:
    rows: dict[str, list[list]] = {}
    for file in files:
        for _, columns in read(file):
            for name, column in columns.items():
                rows.setdefault(name, []).extend(part.tolist() for part in column.split())
    return rows


def test_static_rows_are_masked_rows_of_the_text(tmp_path, source, tokenizer: BertTokenizer):
    result = build_dataset(source, tokenizer, STATIC, tmp_path / "out")
    rows = rows_of(result.files, read_tfrecord)
    assert result.rows == len(rows["input_ids"])
    assert len(result.files) > 3
    text_tokens = sum(len(ids) for text in source.texts for ids in tokenizer.encode_ids(list(text)))
    assert sum(sum(mask) - 2 for mask in rows["input_mask"]) == 2 * text_tokens
    for ids, mask, positions, labels, weights in zip(
        *(rows[name] for name in ("input_ids", "input_mask")),
        *(rows[f"masked_lm_{name}"] for name in ("positions", "ids", "weights")),
        strict=True,
    ):
        assert len(ids) == LENGTH
        assert len(positions) == PREDICTIONS
        length = sum(mask)
        count = int(sum(weights))
        assert 0 < count == max(1, round(length * 0.15)) or count < PREDICTIONS
        ids = np.array(ids)
        ids[np.array(positions)[:count]] = labels[:count]
        assert ids[0] == tokenizer.cls_id
        assert ids[length - 1] == tokenizer.sep_id
        assert (ids[length:] == tokenizer.pad_id).all()
        assert not np.isin(ids[1 : length - 1], tokenizer.special_ids).any()


def test_passes_over_the_text_have_masks_of_their_own(tmp_path, source, tokenizer):
    settings = replace(STATIC, short_seq_prob=0.0, dupe_factor=3)
    result = build_dataset(source, tokenizer, settings, tmp_path / "out")
    rows = rows_of(result.files, read_tfrecord)
    masks: dict[tuple, set] = {}
    for ids, positions, labels, weights in zip(
        rows["input_ids"],
        *(rows[f"masked_lm_{name}"] for name in ("positions", "ids", "weights")),
        strict=True,
    ):
        count = int(sum(weights))
        original = np.array(ids)
        original[positions[:count]] = labels[:count]
        masks.setdefault(tuple(original.tolist()), set()).add(tuple(positions[:count]))
    assert len(masks) == result.rows / 3
    assert np.mean([len(found) for found in masks.values()]) > 2.5


@pytest.mark.parametrize("pairs", ["none", "nsp", "sop"])
def test_dynamic_rows_keep_tokens_words_and_segments(tmp_path, source, tokenizer, pairs):
    settings = replace(DYNAMIC, sentence_pairs=pairs)
    rows = rows_of(
        build_dataset(source, tokenizer, settings, tmp_path / "out").files, read_tfrecord
    )
    for ids, starts, segments in zip(
        rows["tokens"], rows["word_starts"], rows["segment_ids"], strict=True
    ):
        assert len(ids) == len(starts) == len(segments) <= LENGTH
        assert ids.count(tokenizer.sep_id) == (1 if pairs == "none" else 2)
        assert sum(segments) == (0 if pairs == "none" else len(ids) - ids.index(3) - 1)
        pieces = tokenizer.is_continuation[ids]
        # The row may begin inside of a word, which counts as a word then.
        assert not (np.array(starts, bool) & pieces)[2:].any() or pairs != "none"
    labels = {label for (label,) in rows["next_sentence_labels"]}
    assert labels == ({0} if pairs == "none" else {0, 1})


@pytest.mark.parametrize("settings", [STATIC, replace(DYNAMIC, sentence_pairs="nsp")])
def test_any_number_of_workers_gives_the_same_files(tmp_path, source, tokenizer, settings):
    build_dataset(source, tokenizer, settings, tmp_path / "one")
    build_dataset(source, tokenizer, replace(settings, workers=3), tmp_path / "three")
    assert contents(tmp_path / "one") == contents(tmp_path / "three")


def test_mindrecord_holds_the_same_rows(tmp_path, source, tokenizer):
    pytest.importorskip("mindspore")
    expected = rows_of(
        build_dataset(source, tokenizer, STATIC, tmp_path / "t").files, read_tfrecord
    )
    settings = replace(STATIC, record_format="mindrecord")
    result = build_dataset(source, tokenizer, settings, tmp_path / "m")
    assert rows_of(result.files, read_mindrecord) == expected
    for file in result.files:
        manifest = verified_manifest(file)
        assert manifest is not None
        assert set(manifest.files) == {file.name, index_of(file).name}


@pytest.mark.parametrize("suffix", ["tfrecord", "mindrecord"])
def test_one_file_holds_all_shards(tmp_path, source, tokenizer, suffix):
    pytest.importorskip("mindspore")
    read = read_tfrecord if suffix == "tfrecord" else read_mindrecord
    shards = build_dataset(source, tokenizer, STATIC, tmp_path / "folder").files
    settings = replace(STATIC, record_format=suffix)
    output = tmp_path / f"all.{suffix}"
    result = build_dataset(source, tokenizer, settings, output)
    assert result.files == [output]
    assert rows_of([output], read) == rows_of(shards, read_tfrecord)
    assert not (tmp_path / f"all.{suffix}.parts").exists()
    manifest = verified_manifest(output)
    assert manifest is not None
    assert manifest.rows == result.rows
    with pytest.raises(DataError, match="exists already"):
        build_dataset(source, tokenizer, settings, output)
    assert build_dataset(source, tokenizer, settings, output, resume=True).rows == result.rows


@pytest.mark.parametrize("fails_at", [0, 1, 17, 40, 59])
def test_an_ended_build_goes_on_and_gives_the_same_files(tmp_path, source, tokenizer, fails_at):
    build_dataset(source, tokenizer, STATIC, tmp_path / "whole")
    source.fails_at = fails_at
    with pytest.raises(KeyboardInterrupt):
        build_dataset(source, tokenizer, STATIC, tmp_path / "out")
    finished = [path for path in (tmp_path / "out").glob("part-*.tfrecord")]
    before = {path: path.stat().st_mtime_ns for path in finished}
    for path in finished:
        assert verified_manifest(path) is not None
    source.fails_at, source.reads = None, 0
    build_dataset(source, tokenizer, STATIC, tmp_path / "out", resume=True)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    assert {path: path.stat().st_mtime_ns for path in finished} == before
    if finished:
        assert source.reads < len(source.texts)


class Crash(BaseException):
    pass


def crash_after(monkeypatch, module, name: str, calls: int) -> None:
    real = getattr(module, name)
    left = [calls]

    def wrapped(*arguments, **options):
        left[0] -= 1
        if left[0] < 0:
            raise Crash
        return real(*arguments, **options)

    monkeypatch.setattr(module, name, wrapped)


@pytest.mark.parametrize("point", ["write_text_atomic", "describe_file", "sync_directory"])
@pytest.mark.parametrize("calls", [0, 2])
def test_a_crash_while_a_shard_is_written_leaves_no_half_shard(
    tmp_path, source, tokenizer, monkeypatch, point, calls
):
    build_dataset(source, tokenizer, STATIC, tmp_path / "whole")
    with monkeypatch.context() as patch:
        crash_after(patch, shards_module, point, calls)
        with pytest.raises(Crash):
            build_dataset(source, tokenizer, STATIC, tmp_path / "out")
    for path in (tmp_path / "out").glob("part-*.tfrecord"):
        assert verified_manifest(path) is not None
    build_dataset(source, tokenizer, STATIC, tmp_path / "out", resume=True)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    assert not list((tmp_path / "out").glob(".*.partial"))


def test_a_crash_while_files_get_their_names(tmp_path, source, tokenizer, monkeypatch):
    build_dataset(source, tokenizer, STATIC, tmp_path / "whole")
    real = Path.replace

    def replace_but_not_records(self, target):
        if Path(target).name == "part-00001.tfrecord":
            raise Crash
        return real(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", replace_but_not_records)
        with pytest.raises(Crash):
            build_dataset(source, tokenizer, STATIC, tmp_path / "out")
    half = tmp_path / "out" / "part-00001.tfrecord"
    assert manifest_path(half).exists()
    assert not half.exists()
    build_dataset(source, tokenizer, STATIC, tmp_path / "out", resume=True)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_a_crash_while_shards_are_merged(tmp_path, source, tokenizer, monkeypatch):
    output = tmp_path / "all.tfrecord"
    with monkeypatch.context() as patch:
        crash_after(patch, build_module._Builder, "merge", 0)
        with pytest.raises(Crash):
            build_dataset(source, tokenizer, STATIC, output)
    assert not output.exists()
    source.fails_at = 0
    with pytest.raises(DataError, match="exists already; go on with it by --resume"):
        build_dataset(source, tokenizer, STATIC, output)
    result = build_dataset(source, tokenizer, STATIC, output, resume=True)
    assert verified_manifest(output) is not None
    assert result.rows > 0


def test_a_lost_shard_is_built_again(tmp_path, source, tokenizer):
    files = build_dataset(source, tokenizer, STATIC, tmp_path / "out").files
    whole = contents(tmp_path / "out")
    files[1].unlink()
    build_dataset(source, tokenizer, STATIC, tmp_path / "out", resume=True)
    assert contents(tmp_path / "out") == whole


@pytest.mark.parametrize(
    "change",
    [{"random_seed": 5}, {"dupe_factor": 3}, {"sentence_pairs": "nsp"}, {"shard_bytes": 5000}],
)
def test_resuming_with_other_settings_is_refused(tmp_path, source, tokenizer, change):
    build_dataset(source, tokenizer, STATIC, tmp_path / "out")
    with pytest.raises(DataError, match="exists already; go on with it by --resume"):
        build_dataset(source, tokenizer, STATIC, tmp_path / "out")
    with pytest.raises(DataError, match="other settings"):
        build_dataset(source, tokenizer, replace(STATIC, **change), tmp_path / "out", resume=True)


def test_reports_go_on_after_a_crash(tmp_path, source, tokenizer):
    source.fails_at = 30
    with pytest.raises(KeyboardInterrupt):
        build_dataset(source, tokenizer, STATIC, tmp_path / "out")
    source.fails_at = None
    report = build_dataset(source, tokenizer, STATIC, tmp_path / "out", resume=True).report
    assert report.documents == len(source.texts)
    assert report.bytes_read == source.size_bytes()
    summary = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert summary["shards"] == len(list((tmp_path / "out").glob("part-*.tfrecord")))


def test_text_without_tokens_is_an_error(tmp_path, source, tokenizer):
    source.texts = [("\u200b",)]
    with pytest.raises(DataError, match="list: there is no text"):
        build_dataset(source, tokenizer, STATIC, tmp_path / "out")
