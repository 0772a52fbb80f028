import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mindmlm.data.report import ReadReport
from mindmlm.data.sources import text as text_source
from mindmlm.data.sources.base import read_documents
from mindmlm.data.sources.files import FileSource
from mindmlm.data.sources.locations import Listing, Location
from mindmlm.data.sources.options import ReadOptions
from mindmlm.data.sources.splits import list_split, resolve_evaluation, resolve_split
from mindmlm.data.sources.stored_file import StoredFile
from mindmlm.errors import DataError


def read(path: Path, num_samples: int | None = None, **options: object) -> tuple[list, ReadReport]:
    report = ReadReport()
    source = FileSource.of_paths(path, options=ReadOptions(**options))  # type: ignore[arg-type]
    return [d.lines for d in read_documents(source, report, num_samples)], report


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_lines_end_at_line_feeds_only(tmp_path: Path) -> None:
    content = "\ufeffa\u2028b\x0cc\r\n\r\n \u3000\n第二\x85行\rmore\nlast".encode()
    documents, report = read(write(tmp_path / "a.txt", content))
    assert documents == [("a\u2028b\x0cc",), ("第二\x85行\rmore",), ("last",)]
    assert (report.lines, report.documents, report.bytes_read) == (5, 3, len(content))


def test_documents_between_blank_lines(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", b"\n\na\nb\r\n\r\n  \nc\n\n\n")
    assert read(path, text_format="document")[0] == [("a", "b"), ("c",)]
    assert read(path, num_samples=1, text_format="document")[0] == [("a", "b")]
    assert read(path, num_samples=2)[0] == [("a",), ("b",)]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.text(st.characters(exclude_characters="\n\r", codec="utf-8"), max_size=30)),
    st.sampled_from(["\n", "\r\n"]),
)
def test_every_text_comes_back(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], end: str
) -> None:
    path = tmp_path_factory.mktemp("text") / "t.txt"
    path.write_bytes("".join(["\ufeff", *(line + end for line in lines)]).encode())
    expected = [(line,) for line in lines if line and not line.isspace()]
    assert read(path, on_error="skip")[0] == expected


def test_malformed_utf8_names_line_and_byte(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", b"\xef\xbb\xbfgood\nab\xffcd\nmore\n")
    with pytest.raises(DataError, match=r"a\.txt:2: malformed UTF-8: byte 10 .*0xff.*on_error"):
        read(path)
    documents, report = read(path, on_error="skip")
    assert documents == [("good",), ("more",)]
    assert report.skipped == {"malformed UTF-8": 1}
    assert "skipped 1: malformed UTF-8 (first: " in report.summary()
    assert f"{path}:2" in report.summary()


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b""])
def test_line_limit_is_exact(tmp_path: Path, end: bytes) -> None:
    path = write(tmp_path / "a.txt", b"x" * 100 + end)
    assert read(path, max_line_bytes=100)[0] == [("x" * 100,)]
    with pytest.raises(DataError, match=r"a\.txt:1: .*more than 99 bytes"):
        read(path, max_line_bytes=99)
    documents, report = read(
        write(tmp_path / "b.txt", b"y\n" + b"x" * 100 + b"\nz"), max_line_bytes=20, on_error="skip"
    )
    assert documents == [("y",), ("z",)]
    assert sum(report.skipped.values()) == 1


def test_over_long_line_is_never_whole_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with path.open("wb") as file:
        for _ in range(64):
            file.write(b"x" * (1 << 20))
        file.write(b"\nend\n")
    tracemalloc.start()
    documents, _ = read(path, on_error="skip")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert documents == [("end",)]
    assert peak < 8 << 20


@pytest.mark.parametrize("content", [b"", b"\n \r\n\n", b"\xef\xbb\xbf"])
def test_empty_file(tmp_path: Path, content: bytes) -> None:
    path = write(tmp_path / "a.txt", content)
    with pytest.raises(DataError, match=r"a\.txt: empty file"):
        read(path)
    documents, report = read(path, on_error="skip")
    assert documents == []
    assert report.skipped == {"empty file": 1}


def test_large_documents_are_divided(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_source, "MAX_DOCUMENT_CHARACTERS", 10)
    path = write(tmp_path / "a.txt", b"aaaa\nbbbb\ncccc\n\ndddd\n")
    documents, report = read(path, text_format="document")
    assert documents == [("aaaa", "bbbb"), ("cccc",), ("dddd",)]
    assert report.divided_documents == 1


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.txt: cannot read"):
        read(tmp_path / "none.txt")


def test_report_survives_json() -> None:
    report = ReadReport(files=2, tokens=5)
    report.skip("a", "x:1")
    assert ReadReport.from_dict(report.to_dict()) == report


def folder_of(tmp_path: Path, *names: str) -> Path:
    for name in names:
        (tmp_path / name).write_text("text\n", encoding="utf-8")
    (tmp_path / "train_sub").mkdir()
    (tmp_path / "train_sub" / "train.txt").write_text("deep\n", encoding="utf-8")
    return tmp_path


def names(files: tuple[StoredFile, ...]) -> list[str]:
    return [file.base_name for file in files]


def listed(path: Path) -> Listing:
    return Location(str(path)).listing()


def test_names_choose_the_split(tmp_path: Path) -> None:
    folder = folder_of(
        tmp_path,
        "Train.txt",
        "books.txt",
        "valid.raw",
        "dev-1.txt",
        "eval",
        "test.txt",
        ".hidden.txt",
        "vocab.txt",
        "readme.md",
    )
    assert names(list_split(listed(folder), "train")) == ["Train.txt", "books.txt"]
    assert names(list_split(listed(folder), "eval")) == ["dev-1.txt", "eval", "valid.raw"]
    assert names(list_split(listed(folder), "test")) == ["test.txt"]
    assert names(resolve_evaluation(listed(folder))) == ["dev-1.txt", "eval", "valid.raw"]


def test_a_file_is_the_train_split(tmp_path: Path) -> None:
    path = write(tmp_path / "test.json", b"x")
    assert names(resolve_split(listed(path), "train")) == ["test.json"]
    assert names(resolve_evaluation(listed(path))) == ["test.json"]
    assert list_split(listed(path), "eval") == ()


def test_evaluation_folder_without_named_files(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "b.txt", "a.txt")
    assert names(resolve_evaluation(listed(folder))) == ["a.txt", "b.txt"]
    (tmp_path / "test.txt").write_text("t", encoding="utf-8")
    assert names(resolve_evaluation(listed(tmp_path))) == ["test.txt"]


def test_nothing_there(tmp_path: Path) -> None:
    (tmp_path / "data.json").write_text("{}", encoding="utf-8")
    with pytest.raises(DataError, match=r"no text file for the train split.*data\.json"):
        resolve_split(listed(tmp_path), "train")
    with pytest.raises(DataError, match="no such file"):
        listed(tmp_path / "absent")
    with pytest.raises(DataError, match="dataset_dir"):
        Location("").listing()
