import gzip
import io
import os
from pathlib import Path

import pytest

from mindmlm.data.report import ReadReport
from mindmlm.data.sources.cleaned import Cleaning
from mindmlm.data.sources.datasets import FileDataset
from mindmlm.data.sources.locations import Location
from mindmlm.data.sources.splits import list_split, resolve_split
from mindmlm.data.sources.standard_input import spool
from mindmlm.errors import DataError


class Pipe(io.TextIOWrapper):
    """Standard input with something in it."""


def pipe(content: bytes) -> Pipe:
    return Pipe(io.BytesIO(content))


def read(dataset: FileDataset) -> list[str]:
    return [d.lines[0] for _, d in dataset.training().documents(ReadReport())]


def test_a_pattern_matches_files_of_any_name(tmp_path: Path) -> None:
    for name in ("b/x.txt", "a/test.txt", "a/deep/y.txt", "a/z.md"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name, encoding="utf-8")
    assert read(FileDataset(Location(f"{tmp_path}/*/*.txt"))) == ["a/test.txt", "b/x.txt"]
    deep = FileDataset(Location(f"{tmp_path}/**/*.txt"))
    assert read(deep) == ["a/deep/y.txt", "a/test.txt", "b/x.txt"]
    assert deep.evaluation_beside_training() is None
    with pytest.raises(DataError, match="no file matches"):
        Location(f"{tmp_path}/*.csv").listing()
    odd = tmp_path / "odd[1].txt"
    odd.write_text("a file of this name", encoding="utf-8")
    assert read(FileDataset(Location(str(odd)))) == ["a file of this name"]


def test_a_folder_of_tables_and_compressed_files(tmp_path: Path) -> None:
    names = ["a.jsonl.gz", "b.csv", "c.parquet", "d.txt.zst", "info.json", "x.tar.gz", ".y.csv"]
    for name in [*names, "valid.jsonl"]:
        (tmp_path / name).write_bytes(b"x")
    listing = Location(str(tmp_path)).listing()
    assert [file.base_name for file in resolve_split(listing, "train")] == names[:4]
    assert [file.base_name for file in list_split(listing, "eval")] == ["valid.jsonl"]


@pytest.mark.parametrize("content", [b"one\ntwo\n", gzip.compress(b"one\ntwo\n", mtime=0)])
def test_standard_input_is_read_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    monkeypatch.setattr("sys.stdin", pipe(content))
    source = FileDataset(Location("-", spool_dir=tmp_path / "cache")).training()
    assert not list((tmp_path / "cache").iterdir())
    first, second = (source.documents(ReadReport()) for _ in range(2))
    pairs = list(zip(first, second, strict=True))
    assert [a.lines for (_, a), _ in pairs] == [("one",), ("two",)]
    assert all(a == b for a, b in pairs)
    assert source.size_bytes() == len(content)


def test_the_same_text_piped_again_has_the_same_identity(tmp_path: Path) -> None:
    sources = [
        spool(io.BytesIO(text), tmp_path) for text in (b"a" * 3_000_000, b"a" * 3_000_000, b"b")
    ]
    identities = [source.identity() for source in sources]
    assert identities[0] == identities[1] != identities[2]


def test_a_keyboard_is_no_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal, other = os.openpty()
    with os.fdopen(other) as stream:
        monkeypatch.setattr("sys.stdin", stream)
        with pytest.raises(DataError, match="keyboard"):
            Location("-", spool_dir=tmp_path).listing()
    os.close(terminal)


def test_faults_of_standard_input_name_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", pipe(b"one\n\xff\n"))
    with pytest.raises(DataError, match="standard input:2: malformed UTF-8"):
        read(FileDataset(Location("-", spool_dir=tmp_path)))


def test_positions_say_where_a_line_was_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("long enough\nshort\n\nthis one is too long\n", encoding="utf-8")
    cleaning = Cleaning(min_line_characters=6, max_line_characters=12)
    report = ReadReport()
    source = FileDataset(Location(str(path)), cleaning=cleaning).training()
    assert [d.lines for _, d in source.documents(report)] == [("long enough",)]
    assert report.examples == {
        "line shorter than min_line_characters": [f"{path}:2"],
        "line longer than max_line_characters": [f"{path}:4"],
    }
