import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mindmlm.data.report import ReadReport
from mindmlm.data.sources.base import Slice
from mindmlm.data.sources.sql import SqlSource
from mindmlm.data.sources.sql_connection import Database
from mindmlm.data.sources.sql_statement import TableQuery
from mindmlm.errors import DataError


def database(path: Path, rows: dict[Any, str]) -> str:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (id PRIMARY KEY, body)")
        connection.executemany("INSERT INTO t VALUES (?, ?)", rows.items())
    connection.close()
    return f"sqlite:///{path}"


def source(url: str, **options: Any) -> SqlSource:
    return SqlSource(Database(url), TableQuery("SELECT * FROM t", "id", "body"), **options)


@settings(max_examples=40, deadline=None)
@given(
    st.dictionaries(st.integers(-(2**62), 2**62), st.text("ab中\n ", max_size=6), max_size=30),
    st.integers(1, 6),
    st.sampled_from(["range", "modulo"]),
    st.data(),
)
def test_parts_and_positions(
    tmp_path_factory: pytest.TempPathFactory,
    rows: dict[int, str],
    count: int,
    slicing: str,
    data: st.DataObject,
) -> None:
    found = source(database(tmp_path_factory.mktemp("sql") / "t.db", rows), slicing=slicing)
    seen = {}
    for index in range(count):
        part = list(found.documents(ReadReport(), Slice(index, count)))
        for position, document in part:
            assert position[0] not in seen
            seen[position[0]] = document.lines
        if part:
            place = data.draw(st.integers(0, len(part) - 1))
            rest = found.documents(ReadReport(), Slice(index, count), part[place][0])
            assert list(rest) == part[place + 1 :]
    lines = {key: tuple(x for x in text.split("\n") if x.strip()) for key, text in rows.items()}
    assert seen == {key: value for key, value in lines.items() if value}


def test_a_missing_database_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.db: no such file"):
        source(f"sqlite:///{tmp_path}/none.db").identity()
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    path.write_text("not a database, but quite long, so that a header would fit in it\n" * 20)
    with pytest.raises(DataError, match=r"t\.db: cannot read the table: file is not a database"):
        list(source(f"sqlite:///{path}").documents(ReadReport()))


def test_a_file_that_is_damaged_half_way_names_the_row(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    url = database(path, {key: "x" * 2000 for key in range(500)})
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(b"\xff" * 60_000)
    with pytest.raises(DataError, match=r"cannot read the table.*malformed"):
        list(source(url, batch_rows=10).documents(ReadReport()))
