import csv
import gzip
import io
import json
import random
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from mindmlm.data.report import ReadReport
from mindmlm.data.sources.base import Position, Slice
from mindmlm.data.sources.files import FileSource
from mindmlm.data.sources.options import ReadOptions
from mindmlm.errors import DataError

TEXTS = ['First text, with "quotes"', "第二篇\n有两行", "", "third\r\n\r\nend", "  ", "最后 🙂"]
EXPECTED = [('First text, with "quotes"',), ("第二篇", "有两行"), ("third", "end"), ("最后 🙂",)]


def jsonl(texts: list[str], field: str = "text") -> bytes:
    return "".join(
        json.dumps({"id": n, field: text}, ensure_ascii=n % 2 == 0) + "\n"
        for n, text in enumerate(texts)
    ).encode()


def comma_separated(texts: list[str], field: str = "text", delimiter: str = ",") -> bytes:
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, delimiter=delimiter)
    writer.writerow(["id", field])
    writer.writerows(enumerate(texts))
    return stream.getvalue().encode("utf-8-sig")


def columnar(texts: list[str], field: str = "text") -> bytes:
    stream = io.BytesIO()
    table = pa.table({"id": list(range(len(texts))), field: texts})
    parquet.write_table(table, stream, row_group_size=3)
    return stream.getvalue()


ENCODERS: dict[str, Callable[[list[str]], bytes]] = {
    "a.jsonl": jsonl,
    "a.csv": comma_separated,
    "a.tsv": lambda texts: comma_separated(texts, delimiter="\t"),
    "a.parquet": columnar,
}
COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".zst": lambda data: b"".join(
        zstandard.ZstdCompressor(write_checksum=True).compress(part)
        for part in (data[:7], data[7:])
    ),
}


def source_of(*paths: Path, **options: object) -> FileSource:
    return FileSource.of_paths(*paths, options=ReadOptions(**options))  # type: ignore[arg-type]


def read(*paths: Path, **options: object) -> list[tuple[str, ...]]:
    documents = source_of(*paths, **options).documents(ReadReport())
    return [document.lines for _, document in documents]


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("name", ENCODERS)
def test_records_are_documents(tmp_path: Path, name: str) -> None:
    assert read(write(tmp_path / name, ENCODERS[name](TEXTS))) == EXPECTED


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.txt"])
def test_compressed_files(tmp_path: Path, name: str, suffix: str) -> None:
    content = b"one\ntwo\n" * 5000 if name == "a.txt" else ENCODERS[name](TEXTS * 2000)
    plain = write(tmp_path / name, content)
    packed = write(tmp_path / (name + suffix), COMPRESSORS[suffix](content))
    misnamed = write(tmp_path / f"other-{name}", packed.read_bytes())
    report = ReadReport()
    documents = [d.lines for _, d in source_of(packed).documents(report)]
    assert documents == read(plain) == read(misnamed)
    assert report.bytes_read == packed.stat().st_size == source_of(packed).size_bytes()


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_a_file_cut_off_names_the_line(tmp_path: Path, suffix: str) -> None:
    rng = random.Random(3)
    content = b"".join(b"%d\n" % rng.getrandbits(200) for _ in range(20_000))
    packed = COMPRESSORS[suffix](content)
    path = write(tmp_path / f"a.txt{suffix}", packed[: len(packed) // 2])
    with pytest.raises(DataError, match=r"a\.txt\.\w+:[1-9]\d+: cannot read on behind byte \d\d"):
        read(path)
    path.write_bytes(packed[:200] + bytes(100) + packed[300:])
    with pytest.raises(DataError, match=r"a\.txt\.\w+:\d+: (cannot read on|malformed)"):
        read(path)


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_a_name_that_promises_another_compression(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(DataError, match=r"is not a .* file, as its name says"):
        read(write(tmp_path / f"a.txt{suffix}", b"plain text"))


def test_parquet_is_seen_from_its_contents_and_not_read_compressed(tmp_path: Path) -> None:
    assert read(write(tmp_path / "part-00000", columnar(TEXTS))) == EXPECTED
    with pytest.raises(DataError, match=r"inside of gzip cannot be read in parts"):
        read(write(tmp_path / "a.parquet.gz", gzip.compress(columnar(TEXTS))))
    with pytest.raises(DataError, match=r"b\.parquet, row 1: cannot read the table"):
        read(write(tmp_path / "b.parquet", b"PAR1 is all there is"))


def test_a_damaged_row_group_names_the_row(tmp_path: Path) -> None:
    rng = random.Random(1)
    texts = ["".join(rng.choices("abcdefgh ", k=200)) for _ in range(3000)]
    stream = io.BytesIO()
    options = {"row_group_size": 1000, "compression": "gzip", "use_dictionary": False}
    parquet.write_table(pa.table({"text": texts}), stream, **options)
    data = bytearray(stream.getvalue())
    middle = parquet.ParquetFile(stream).metadata.row_group(1).column(0).data_page_offset
    data[middle + 2000 : middle + 4000] = bytes(2000)
    with pytest.raises(DataError, match=r"a\.parquet, row 1001: cannot read the table"):
        read(write(tmp_path / "a.parquet", bytes(data)))


def position_round_trip(position: Position) -> Position:
    return tuple(json.loads(json.dumps(position)))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.text('ab \n学,"', max_size=12), max_size=8), min_size=1, max_size=3),
    st.sampled_from([*ENCODERS, "line.txt", "document.txt"]),
    st.sampled_from(list(COMPRESSORS)),
    st.integers(1, 3),
)
def test_reading_goes_on_behind_any_position(
    tmp_path_factory: pytest.TempPathFactory,
    files: list[list[str]],
    name: str,
    suffix: str,
    count: int,
) -> None:
    folder = tmp_path_factory.mktemp("files")
    suffix = "" if name == "a.parquet" else suffix
    encode = ENCODERS.get(name, lambda texts: "\n\n".join(texts).encode())
    paths = [
        write(folder / f"{n}{name}{suffix}", COMPRESSORS[suffix](encode(texts)))
        for n, texts in enumerate(files)
    ]
    source = source_of(
        *paths, text_format=name.split(".")[0] if "txt" in name else "line", on_error="skip"
    )
    everything = list(source.documents(ReadReport()))
    parts = [list(source.documents(ReadReport(), Slice(n, count))) for n in range(count)]
    seen = {position: document for part in parts for position, document in part}
    assert [seen[position] for position, _ in everything] == [d for _, d in everything]
    assert sum(map(len, parts)) == len(everything)
    for index, part in enumerate(parts):
        whole = ReadReport()
        stream = source.documents(whole, Slice(index, count))
        saved = [(position, json.dumps(whole.to_dict())) for position, _ in stream]
        for number, (position, counts) in enumerate(saved):
            report = ReadReport.from_dict(json.loads(counts))
            rest = source.documents(report, Slice(index, count), position_round_trip(position))
            assert list(rest) == part[number + 1 :]
            assert report.to_dict() == whole.to_dict()


def test_fields_are_chosen_and_joined(tmp_path: Path) -> None:
    record = {"meta": {"title": "标题", "tags": ["a", "b"]}, "body": "正文", "x.y": "dotted"}
    path = write(tmp_path / "a.jsonl", json.dumps(record).encode())
    fields = ("meta.title", "body", "meta.tags", "x.y")
    assert read(path, text_field=fields) == [("标题", "正文", "a", "b", "dotted")]
    table = pa.table({"meta": [record["meta"]], "body": ["正文"]})
    nested = tmp_path / "a.parquet"
    parquet.write_table(table, nested)
    assert read(nested, text_field=("meta.title", "body")) == [("标题", "正文")]
    assert read(
        write(tmp_path / "b.csv", b"a;b\n1;2\n"), text_field=("b", "a"), csv_delimiter=";"
    ) == [("2", "1")]


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("a.jsonl", b'{"text": "a"}\n{"text": ', r"a\.jsonl:2: .*not JSON"),
        ("a.jsonl", b'{"text": "a"}\n[1]', r"a\.jsonl:2: .*found a list"),
        ("a.jsonl", b'{"text": "a"}\n\n{"body": "b"}', r"a\.jsonl:3: .*no field 'text'.*'body'"),
        ("a.jsonl", b'{"text": "a"}\n{"text": 5}', r"a\.jsonl:2: .*is of type int"),
        ("a.jsonl", b'{"text": "a"}\n{"text": "\\ud800"}', r"a\.jsonl:2: .*half of a character"),
        ("a.jsonl", b'{"text": "a"}\n' + b"[" * 100_000, r"a\.jsonl:2: .*not JSON"),
        ("a.jsonl", b'{"text": "a"}\n\xff', r"a\.jsonl:2: malformed UTF-8"),
        ("a.csv", b'id,text\n1,a\n2,"b\nc"\n3', r"a\.csv:5: .*has 1 fields, the first row 2"),
        ("a.csv", b'id,text\n1,a\n2,"b"c\n', r"a\.csv:3: .*quotes"),
        ("a.csv", b'id,text\n1,a\n2,"never\nclosed\n', r"a\.csv:3: .*quotes"),
        ("a.csv", b"text\na\n\xe5\n", r"a\.csv:3: malformed UTF-8"),
    ],
)
def test_faulty_records_name_the_line_and_can_be_skipped(
    tmp_path: Path, name: str, content: bytes, match: str
) -> None:
    path = write(tmp_path / name, content)
    with pytest.raises(DataError, match=match + r".*on_error: skip"):
        read(path)
    report = ReadReport()
    source = source_of(path, on_error="skip")
    assert ("a",) in [document.lines for _, document in source.documents(report)]
    assert sum(report.skipped.values()) == 1


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_a_table_without_the_column_is_never_skipped(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, comma_separated(["x"]) if name == "a.csv" else columnar(["x"]))
    with pytest.raises(DataError, match=r"no column 'body'; its columns are 'id', 'text'"):
        read(path, text_field=("body",), on_error="skip")


@pytest.mark.parametrize("name", ENCODERS)
def test_records_above_the_limit(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, ENCODERS[name](["short", "长" * 100, "end"]))
    assert len(read(path, max_line_bytes=400)) == 3
    with pytest.raises(DataError, match="longer than max_line_bytes"):
        read(path, max_line_bytes=299)
    assert read(path, max_line_bytes=299, on_error="skip") == [("short",), ("end",)]


def test_a_malformed_text_in_a_parquet_column_names_the_row(tmp_path: Path) -> None:
    values = pa.array([b"good", b"b\xffd", b"end"], pa.binary())
    text = pa.StringArray.from_buffers(3, values.buffers()[1], values.buffers()[2])
    path = tmp_path / "a.parquet"
    parquet.write_table(pa.table({"text": text}), path)
    with pytest.raises(DataError, match=r"a\.parquet, row 2: malformed UTF-8"):
        read(path)
    assert read(path, on_error="skip") == [("good",), ("end",)]


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.parquet"])
def test_empty_tables(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, columnar([]) if name == "a.parquet" else b"")
    with pytest.raises(DataError, match=r"a\.\w+: empty file"):
        read(path)
    report = ReadReport()
    assert not list(source_of(path, on_error="skip").documents(report))
    assert report.skipped["empty file"] >= 1


def test_a_missing_package_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.txt.zst", zstandard.ZstdCompressor().compress(b"text"))
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(DataError, match=r"zstd file needs .*zstandard.*mindmlm\[data\]"):
        read(path)
