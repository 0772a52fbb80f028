import csv
import gzip
import io
import json
import os
import random
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from mindmlm.cli.main import main
from mindmlm.data.doctor import repeats
from mindmlm.data.doctor.repeats import RepeatFinder


def write(path: Path, *lines: bytes | str) -> Path:
    encoded = [line.encode() if isinstance(line, str) else line for line in lines]
    path.write_bytes(b"".join(line + b"\n" for line in encoded))
    return path


def examine(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, dict[str, Any]]:
    code = main(["doctor", *map(str, arguments), "--json"])
    captured = capsys.readouterr()
    assert captured.err == ""
    found = json.loads(captured.out)
    assert found["exit_code"] == code
    return code, found


def test_good_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "a.txt", "\ufeffone line\tof text\r", "", "今天天气很好。")
    code, found = examine(capsys, path)
    assert (code, found["problems"], found["encoding"]) == (0, [], {})
    assert found["files"] == [
        {
            "path": str(path), "side": "train", "unit": "line", "bytes": path.stat().st_size,
            "lines": 3, "blank_lines": 1, "characters": 23,
        }
    ]  # fmt: skip
    assert main(["doctor", str(path)]) == 0
    assert capsys.readouterr().out.endswith("no problem found\n")


def test_encoding_errors_have_line_and_byte(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(
        tmp_path / "a.txt",
        b"\xef\xbb\xbfab\xff",
        "fine",
        "caf\u00c3\u00a9 and don\u00e2\u20ac\u2122t",
        "lost \ufffd\ufffd",
        "bell \x07",
        "mark \ufeff",
        "x" * 101,
        "y" * 100,
    )
    code, found = examine(capsys, path, "--max_line_bytes", 100)
    assert code == 1
    assert {kind: (e["count"], e["places"]) for kind, e in found["encoding"].items()} == {
        "malformed UTF-8": (1, [f"{path}:1: byte 5 of the line (0xff)"]),
        "UTF-8 that was read as Latin-1": (1, [f"{path}:3: 'Ã©'"]),
        "replacement character U+FFFD": (1, [f"{path}:4: 2 in the line"]),
        "control character": (1, [f"{path}:5: 1 in the line"]),
        "byte-order mark inside of the text": (1, [f"{path}:6: 1 in the line"]),
        "over-long line": (1, [f"{path}:7: 102 bytes, more than 100; break it up"]),
    }
    assert found["files"][0]["lines"] == 8
    assert len(found["problems"]) == 6


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_other_encodings(encoding: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("some text\n".encode(encoding))
    code, found = examine(capsys, path)
    assert code == 1
    assert found["problems"] == ["UTF-16 or UTF-32 instead of UTF-8: 1"]


@pytest.mark.parametrize("content", [b"", b"\n \n", b"\xef\xbb\xbf"])
def test_empty_file(content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.txt").write_bytes(content)
    code, found = examine(capsys, tmp_path / "a.txt")
    assert (code, found["problems"]) == (1, ["file without text: 1"])


def test_compressed_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.txt.gz"
    path.write_bytes(gzip.compress(b"one\ntwo\none\n" * 1000))
    code, found = examine(capsys, path)
    assert (code, found["files"][0]["lines"], found["duplicates"]["lines"]) == (1, 3000, 2998)
    path.write_bytes(path.read_bytes()[:-20])
    assert main(["doctor", str(path)]) == 2
    assert "a.txt.gz:" in capsys.readouterr().err


def test_duplicates_within_and_across_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a = write(tmp_path / "a.txt", "x y", "z", "", "", "x  y ")
    b = write(tmp_path / "b.txt", "z", "x\ty", "w", "Z")
    code, found = examine(capsys, a, b)
    assert code == 1
    assert found["duplicates"]["lines"] == 3
    assert found["duplicates"]["share"] == pytest.approx(3 / 7)
    assert found["duplicates"]["examples"] == [
        {"times": 3, "places": [f"{a}:1", f"{a}:5", f"{b}:2"]},
        {"times": 2, "places": [f"{a}:2", f"{b}:1"]},
    ]
    assert examine(capsys, a, b, "--max_duplicate_share", 0.5)[0] == 0


def test_leakage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train = write(tmp_path / "train.txt", "a", "b", "c", "b")
    valid = write(tmp_path / "valid.txt", "new", "b", "c", "b")
    code, found = examine(capsys, train, "--eval", valid, "--max_duplicate_share", 1)
    assert code == 1
    assert found["leakage"] == {
        "lines": 3,
        "examples": [
            {"train": f"{train}:2", "evaluation": f"{valid}:2"},
            {"train": f"{train}:3", "evaluation": f"{valid}:3"},
        ],
    }
    assert found["duplicates"]["lines"] == 2
    assert found["problems"] == ["leakage: 3 evaluation lines stand in the training text as well"]


def test_unknown_tokens(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    vocab = write(
        tmp_path / "vocab.txt", "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "##b", "中"
    )
    text = write(tmp_path / "a.txt", "a ab 中", "Zebra a zebra", "a 国", "---")
    code, found = examine(capsys, text, "--vocab_file", vocab)
    assert code == 1
    unknown = found["unknown"]
    assert (unknown["tokens"], unknown["unknown"]) == (12, 6)
    assert unknown["examples"][0] == {"text": "-", "times": 3, "first": f"{text}:4"}
    assert {"text": "Zebra", "times": 1, "first": f"{text}:2"} in unknown["examples"]
    assert found["tokens"]["largest"] == {"size": 4, "place": f"{text}:1"}
    assert examine(capsys, text, "--vocab_file", vocab, "--max_unk_share", 0.5)[0] == 0
    cased = examine(capsys, text, "--vocab_file", vocab, "--cased")[1]
    assert cased["unknown"]["unknown"] == 6


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("今天天气很好，我们去 Beijing 玩", "Chinese"),
        ("今日は天気がいいですね", "Japanese"),
        ("오늘은 날씨가 좋다", "Korean"),
        ("Сегодня хорошая погода", "Cyrillic"),
        ("The weather is fine and we go to the city", "English"),
        ("Das Wetter ist gut und wir gehen in die Stadt", "German"),
        ("Il fait beau et nous allons dans la ville", "French"),
        ("El tiempo es bueno y vamos a la ciudad con los niños", "Spanish"),
        ("Zyzzyva", "Latin letters, language unclear"),
        ("2024-01-01, 3.14 %", "no letters"),
    ],
)
def test_languages(
    text: str, language: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = examine(capsys, write(tmp_path / "a.txt", text))[1]
    assert found["languages"] == {language: 1}


def test_length_histogram(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "a.txt", *("abcdefgh"[:n] for n in (1, 2, 3, 4, 7, 8)))
    found = examine(capsys, path)[1]["characters"]
    assert [(row["from"], row["to"], row["lines"]) for row in found["histogram"]] == [
        (1, 1, 1), (2, 3, 2), (4, 7, 2), (8, 15, 1)
    ]  # fmt: skip
    assert found["largest"] == {"size": 8, "place": f"{path}:6"}
    assert found["mean"] == pytest.approx(25 / 6)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 12), max_size=40), min_size=1, max_size=4),
    st.integers(0, 4),
    st.sampled_from([3, 1000]),
)
def test_repeats_in_memory_and_on_disk_are_those_of_a_dictionary(
    tmp_path_factory: pytest.TempPathFactory,
    files: list[list[int]],
    boundary: int,
    held: int,
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(repeats, "MAX_HELD", held)
        finder = RepeatFinder(tmp_path_factory.mktemp("repeats"), 100, boundary)
        groups: dict[tuple[int, bool], list[tuple[int, int]]] = {}
        for number, lines in enumerate(files):
            finder.add(number, list(range(1, len(lines) + 1)), [f"line {n}" for n in lines])
            for line, content in enumerate(lines, 1):
                groups.setdefault((content, number >= boundary), []).append((number, line))
        finder.finish()
    assert finder.duplicate_lines == sum(len(places) - 1 for places in groups.values())
    expected = [(len(places), places[:3]) for places in groups.values() if len(places) > 1]
    assert sorted(finder.duplicates()) == sorted(expected)
    leaked = [n for n, judged in groups if judged and (n, False) in groups]
    assert finder.leaked_lines == sum(len(groups[n, True]) for n in leaked)
    places = sorted((groups[n, True][0], groups[n, False][0]) for n in leaked)
    assert finder.leaks() == [(trained, judged) for judged, trained in places]


def test_memory_does_not_grow_with_the_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(repeats, "MAX_HELD", 1000)
    generator = random.Random(0)
    peaks = []
    for size in (20_000, 100_000):
        path = tmp_path / f"{size}.txt"
        path.write_text("".join(f"line {generator.random()}\n" for _ in range(size)))
        main(["doctor", str(path)])
        tracemalloc.start()
        assert main(["doctor", str(path)]) == 0
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    capsys.readouterr()
    assert peaks[1] < peaks[0] + (4 << 20)


ROWS = [{"body": "今天天气很好"}, {"body": "one line of text\nand another one"}]
ROWS += [{"body": "坏\ufffd字"}, {"body": "今天天气很好"}, {"other": "x"}]


def encoded(name: str, rows: list[dict[str, str]]) -> bytes:
    texts = [row.get("body") for row in rows]
    if name.startswith("jsonl"):
        data = "".join(json.dumps(row) + "\n" for row in rows).encode()
    elif name.startswith("csv"):
        stream = io.StringIO()
        table = [(text, n) for n, text in enumerate(texts)]
        csv.writer(stream).writerows([("body", "n"), *table])
        data = stream.getvalue().encode()
    else:
        sink = io.BytesIO()
        parquet.write_table(pa.table({"body": texts}), sink, row_group_size=2)
        data = sink.getvalue()
    packers = {".gz": gzip.compress, ".zst": zstandard.compress}
    return packers[Path(name).suffix](data) if Path(name).suffix in packers else data


@pytest.mark.parametrize("name", ["jsonl", "jsonl.gz", "csv", "csv.zst", "parquet"])
def test_records_are_read_as_training_reads_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    path = tmp_path / f"a.{name}"
    rows = ROWS[:4] if name.startswith("csv") else ROWS
    path.write_bytes(encoded(name, rows))
    code, found = examine(capsys, path, "--text_field", "body", "--eval", path)
    # A csv file begins with the names of its columns; its second record has two lines.
    numbers = {"csv": (2, 5, 6)}.get(name.split(".")[0], (1, 3, 4))
    places = [
        f"{path}, row {number}" if name == "parquet" else f"{path}:{number}" for number in numbers
    ]
    assert code == 1
    assert found["duplicates"]["examples"][0] == {"times": 2, "places": [places[0], places[2]]}
    lost = found["encoding"]["replacement character U+FFFD"]
    assert lost["places"][0].startswith(f"{places[1]}: 1 in the line")
    assert found["leakage"]["lines"] == 5
    assert found["leakage"]["examples"][0] == {"train": places[0], "evaluation": places[0]}
    assert found["lines_with_text"] == 10
    assert found["files"][0]["bytes"] <= path.stat().st_size
    if name.startswith("jsonl"):
        (missing, _) = found["encoding"]["record that cannot be read"]["places"]
        assert missing.startswith(f"{path}:5: it has no field 'body'; its fields are 'other'")
        assert missing.endswith("in --text_field")


def test_records_that_cannot_be_read_and_folders(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "one"}\nno json\n[1]\n{"text": "two"}\n')
    (tmp_path / "b.csv").write_text('text;n\none of them;1\n"open;2\n')
    (tmp_path / "valid.txt").write_text("one\n")
    code, found = examine(capsys, tmp_path, "--csv_delimiter", ";", "--eval", tmp_path)
    assert code == 1
    bad = found["encoding"]["record that cannot be read"]["places"]
    assert [place.partition(": ")[0] for place in bad] == [
        f"{tmp_path}/a.jsonl:2", f"{tmp_path}/a.jsonl:3", f"{tmp_path}/b.csv:3",
    ]  # fmt: skip
    assert [file["side"] for file in found["files"]] == ["train", "train", "evaluation"]
    leak = {"train": f"{tmp_path}/a.jsonl:1", "evaluation": f"{tmp_path}/valid.txt:1"}
    assert found["leakage"] == {"lines": 1, "examples": [leak]}
    assert main(["doctor", str(tmp_path / "b.csv"), "--text_field", "body"]) == 2
    shown = capsys.readouterr().err
    assert "b.csv: it has no column 'body'" in shown
    assert "--text_field" in shown


def test_what_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for arguments, message in (
        ([tmp_path / "none.txt"], "none.txt: no such file or folder"),
        ([tmp_path / "empty"], "no text file for the train split"),
        ([write(tmp_path / "a.txt", "a"), "--vocab_file", tmp_path / "v"], "v: cannot read the"),
    ):
        process = subprocess.run(
            [sys.executable, "-m", "mindmlm", "doctor", *map(str, arguments)],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert process.returncode == 2
        assert message in process.stderr
        assert "Traceback" not in process.stderr
