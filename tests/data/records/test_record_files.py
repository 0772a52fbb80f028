"""TFRecord and MindRecord: round trips, what MindSpore reads, damage of every kind."""

import logging
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mindmlm.data.records.crc32c import crc32c, masked_crc32c
from mindmlm.data.records.example import decode_examples, encode_examples, feature_payloads
from mindmlm.data.records.manifest import (
    Manifest,
    describe_file,
    manifest_path,
    verified_manifest,
)
from mindmlm.data.records.mindrecord import index_of, read_mindrecord, write_mindrecord
from mindmlm.data.records.rows import DYNAMIC, FIELDS, STATIC, Columns, Ragged
from mindmlm.data.records.tfrecord import read_tfrecord, write_tfrecord
from mindmlm.errors import DataError

LENGTH, PREDICTIONS = 16, 3


def static_columns(rows: int, seed: int = 0) -> Columns:
    rng = np.random.default_rng(seed)
    shapes = {name: LENGTH for name in FIELDS[STATIC]}
    shapes |= {name: PREDICTIONS for name in FIELDS[STATIC] if name.startswith("masked_lm")}
    shapes["next_sentence_labels"] = 1
    return {
        name: Ragged.of_matrix(rng.integers(0, 40000, (rows, width)).astype(FIELDS[STATIC][name]))
        for name, width in shapes.items()
    }


def dynamic_columns(rows: int, seed: int = 0) -> Columns:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(3, LENGTH + 1, rows)
    columns = {
        name: Ragged(rng.integers(0, 30000, lengths.sum()), lengths)
        for name in ("tokens", "word_starts", "segment_ids")
    }
    columns["next_sentence_labels"] = Ragged(rng.integers(0, 2, rows), np.ones(rows, np.int64))
    return columns


def assert_equal(found: Columns, expected: Columns) -> None:
    assert found.keys() == expected.keys()
    for name, column in expected.items():
        assert np.array_equal(found[name].values, column.values), name
        assert np.array_equal(found[name].lengths, column.lengths), name


def joined(batches: list[Columns]) -> Columns:
    return {
        name: Ragged(
            np.concatenate([batch[name].values for batch in batches]),
            np.concatenate([batch[name].lengths for batch in batches]),
        )
        for name in batches[0]
    }


def test_checksums_of_the_standard() -> None:
    # RFC 3720, appendix B.4.
    ascending = bytes(range(32))
    found = crc32c([b"\0" * 32, b"\xff" * 32, ascending, ascending[::-1]])
    assert found.tolist() == [0x8A9136AA, 0x62A8AB43, 0x46DD794E, 0x113FDB5C]
    assert hex(crc32c([b"123456789"])[0]) == "0xe3069283"


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=12))
def test_checksums_do_not_depend_on_their_company(strings: list[bytes]) -> None:
    together = masked_crc32c(strings).tolist()
    assert together == [int(masked_crc32c([string])[0]) for string in strings]


@settings(deadline=None)
@given(
    st.lists(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=6), min_size=1, max_size=5),
    st.lists(st.integers(0, 300), min_size=1, max_size=4),
)
def test_examples_keep_every_integer(rows: list[list[int]], small: list[int]) -> None:
    lengths = np.array([len(row) for row in rows])
    values = np.array([value for row in rows for value in row], np.int64)
    columns = {
        "a": Ragged(values, lengths),
        "b": Ragged(np.tile(small, len(rows)), np.full(len(rows), len(small))),
    }
    assert_equal(decode_examples(encode_examples(columns), ["a", "b"]), columns)


def test_values_that_are_not_packed_are_read() -> None:
    # int64_list with two single fields (tag 0x08), as proto2 writers do.
    values = b"\x08\x05\x08\xac\x02"
    feature = b"\x1a" + bytes([len(values)]) + values
    entry = b"\x0a\x01x\x12" + bytes([len(feature)]) + feature
    features = b"\x0a" + bytes([len(entry)]) + entry
    message = b"\x0a" + bytes([len(features)]) + features
    assert decode_examples([message], ["x"])["x"].values.tolist() == [5, 300]
    assert feature_payloads(message)["x"] == (False, b"\x05\xac\x02")


@pytest.mark.parametrize("columns", [static_columns(2500), dynamic_columns(1100)])
def test_tfrecord_round_trip(tmp_path: Path, columns: Columns) -> None:
    path = tmp_path / "a.tfrecord"
    with path.open("wb") as file:
        rows = write_tfrecord(file, [columns])
    batches = list(read_tfrecord(path))
    assert rows == sum(len(batch["segment_ids"].lengths) for _, batch in batches)
    assert_equal(joined([batch for _, batch in batches]), columns)


def test_mindspore_reads_our_tfrecords(tmp_path: Path) -> None:
    dataset = pytest.importorskip("mindspore.dataset")
    columns = static_columns(50)
    path = tmp_path / "a.tfrecord"
    with path.open("wb") as file:
        write_tfrecord(file, [columns])
    rows = list(
        dataset.TFRecordDataset(str(path), shuffle=False).create_dict_iterator(
            num_epochs=1, output_numpy=True
        )
    )
    assert len(rows) == 50
    for name, column in columns.items():
        assert np.array_equal(np.concatenate([row[name] for row in rows]), column.values), name


@pytest.mark.parametrize("damage", ["flip", "length", "cut", "text"])
def test_damaged_tfrecords_are_refused(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "a.tfrecord"
    with path.open("wb") as file:
        write_tfrecord(file, [static_columns(20)])
    data = bytearray(path.read_bytes())
    if damage == "flip":
        data[len(data) // 2] ^= 4
    elif damage == "length":
        data[0] ^= 1
    elif damage == "cut":
        data = data[:-7]
    else:
        data = bytearray(b"plain text\n" * 10)
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"a\.tfrecord: record \d+ .*(damaged|cut off)"):
        list(read_tfrecord(path))


def test_records_of_other_programs_are_explained(tmp_path: Path) -> None:
    path = tmp_path / "a.tfrecord"
    columns = {"image": Ragged.of_matrix(np.zeros((2, 3), np.int64))}
    with path.open("wb") as file:
        write_tfrecord(file, [columns])
    with pytest.raises(DataError, match=r"features image; expected input_ids"):
        list(read_tfrecord(path))
    message = b"\x0a\x05hello"
    framed = struct.pack("<Q", len(message))
    framed += struct.pack("<I", int(masked_crc32c([framed])[0])) + message
    path.write_bytes(framed + struct.pack("<I", int(masked_crc32c([message])[0])))
    with pytest.raises(DataError, match=r"a\.tfrecord: records 1 to 1: not a tf\.train\.Example"):
        list(read_tfrecord(path))


@pytest.mark.parametrize(
    ("form", "columns"), [(STATIC, static_columns(1300)), (DYNAMIC, dynamic_columns(300))]
)
def test_mindrecord_round_trip(tmp_path: Path, form: str, columns: Columns) -> None:
    pytest.importorskip("mindspore")
    path = tmp_path / "made" / "a.mindrecord"
    path.parent.mkdir()
    assert write_mindrecord(path, [columns], form) == len(columns["segment_ids"].lengths)
    moved = tmp_path / "moved"
    path.parent.rename(moved)
    batches = list(read_mindrecord(moved / "a.mindrecord"))
    assert {found for found, _ in batches} == {form}
    assert_equal(joined([batch for _, batch in batches]), columns)


@pytest.mark.parametrize("make", [static_columns, dynamic_columns])
def test_mindspore_reads_our_mindrecords(
    tmp_path: Path, make: Callable[[int, int], Columns]
) -> None:
    dataset = pytest.importorskip("mindspore.dataset")
    form = STATIC if make is static_columns else DYNAMIC
    batches = [make(rows, rows) for rows in (1, 40, 1, 300)]
    path = tmp_path / "a.mindrecord"
    assert write_mindrecord(path, batches, form) == 342
    source = dataset.MindDataset(str(path), shuffle=False)
    found = list(source.create_dict_iterator(num_epochs=1, output_numpy=True))
    expected = joined(batches)
    assert set(found[0]) == set(expected)
    for name, column in expected.items():
        rows = [np.atleast_1d(row[name]) for row in found]
        assert rows[0].dtype == FIELDS[form][name]
        assert np.array_equal(np.concatenate(rows), column.values), name
        assert [len(row) for row in rows] == column.lengths.tolist(), name


def test_mindrecord_faults_are_explained(tmp_path: Path) -> None:
    pytest.importorskip("mindspore")
    path = tmp_path / "a.mindrecord"
    write_mindrecord(path, [static_columns(3)], STATIC)
    renamed = path.rename(tmp_path / "b.mindrecord")
    index = index_of(path).rename(index_of(renamed))
    with pytest.raises(DataError, match=r"written as a\.mindrecord .* cannot be renamed"):
        list(read_mindrecord(renamed))
    index.unlink()
    with pytest.raises(DataError, match=r"its index b\.mindrecord\.db"):
        list(read_mindrecord(renamed))
    index.write_bytes(b"not a database, not at all")
    with pytest.raises(DataError, match="not a MindRecord index"):
        list(read_mindrecord(renamed))


def manifest_of(path: Path) -> Manifest:
    return Manifest({path.name: describe_file(path)}, 1, STATIC, LENGTH, "f", "b")


def test_manifests_find_any_change(tmp_path: Path) -> None:
    path = tmp_path / "a.tfrecord"
    path.write_bytes(b"0123456789")
    manifest = manifest_of(path)
    manifest_path(path).write_text(manifest.text())
    assert verified_manifest(path) == manifest
    path.write_bytes(b"0123456788")
    with pytest.raises(DataError, match=r"a\.tfrecord: differs from its manifest"):
        verified_manifest(path)
    path.unlink()
    with pytest.raises(DataError, match=r"a\.tfrecord: cannot be read"):
        verified_manifest(path)
    for broken in ("{", "{}", manifest.text().replace("a.tfrecord", "../a.tfrecord")):
        manifest_path(path).write_text(broken)
        with pytest.raises(DataError, match="damaged manifest"):
            verified_manifest(path)


def test_foreign_files_are_taken_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.tfrecord"
    path.write_bytes(b"")
    with caplog.at_level(logging.WARNING, "mindmlm"):
        assert verified_manifest(path) is None
    assert "has no manifest" in caplog.text
