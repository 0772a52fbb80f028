"""Tables of a real PostgreSQL: cursors on the server, slices, lost connections, secrets."""

import logging
import random
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from mindmlm.data.report import ReadReport
from mindmlm.data.sources.base import Slice
from mindmlm.data.sources.sql import SqlSource
from mindmlm.data.sources.sql_connection import Database
from mindmlm.data.sources.sql_statement import TableQuery
from mindmlm.errors import DataError

QUERY = "SELECT id, body FROM articles"


@pytest.fixture
def admin(postgres: Any) -> Iterator[sa.Engine]:
    engine = Database(postgres.url).engine()
    yield engine
    with engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE IF EXISTS articles"))


def fill(engine: sa.Engine, rows: list[tuple[Any, Any]], key_type: str = "bigint") -> None:
    with engine.begin() as connection:
        connection.execute(sa.text(f"CREATE TABLE articles (id {key_type}, body text)"))
        connection.execute(
            sa.text("INSERT INTO articles VALUES (:id, :body)"),
            [{"id": key, "body": body} for key, body in rows],
        )


def source(url: str, query: str = QUERY, **options: Any) -> SqlSource:
    parameters = options.pop("parameters", {})
    return SqlSource(Database(url), TableQuery(query, "id", "body", parameters), **options)


def read(found: SqlSource, **arguments: Any) -> list[tuple[Any, tuple[str, ...]]]:
    return [(p, d.lines) for p, d in found.documents(ReadReport(), **arguments)]


def kill(engine: sa.Engine, application_name: str) -> int:
    """Kill that program's connections; the server is shared with other tests of the process."""
    with engine.connect() as connection:
        statement = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        statement += "WHERE application_name = :name"
        return len(connection.execute(sa.text(statement), {"name": application_name}).all())


def test_rows_are_documents_in_the_order_of_the_key(admin: sa.Engine, postgres: Any) -> None:
    fill(admin, [(3, "第三\r\n\n \nc"), (-1, "a % b"), (2**40, "最后"), (7, None), (8, " \n")])
    report = ReadReport()
    found = list(source(postgres.url).documents(report))
    assert [(p, d.lines) for p, d in found] == [
        ((-1,), ("a % b",)),
        ((3,), ("第三", "c")),
        ((2**40,), ("最后",)),
    ]
    assert (report.lines, report.skipped) == (5, {"row without text": 1})
    assert report.examples["row without text"][0].endswith("/postgres, row with id 7")


@pytest.mark.parametrize("slicing", ["range", "modulo"])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_slices_together_hold_every_row_once(
    admin: sa.Engine, postgres: Any, slicing: str, count: int
) -> None:
    generator = random.Random(count)
    keys = generator.sample(range(-500, 10_000), 400)
    fill(admin, [(key, f"text {key}") for key in keys])
    found = source(postgres.url, slicing=slicing, batch_rows=7)
    parts = [[p[0] for p, _ in read(found, part=Slice(i, count))] for i in range(count)]
    assert sorted(key for part in parts for key in part) == sorted(keys)
    assert all(part == sorted(part) for part in parts)
    if slicing == "modulo" and count == 5:
        assert max(map(len, parts)) < 2 * min(map(len, parts))


@pytest.mark.parametrize("slicing", ["range", "modulo"])
def test_reading_goes_on_at_a_position_though_the_table_grew(
    admin: sa.Engine, postgres: Any, slicing: str
) -> None:
    fill(admin, [(key, f"t{key}") for key in range(100)])
    found, part = source(postgres.url, slicing=slicing), Slice(0, 2)
    everything = read(found, part=part)
    with admin.begin() as connection:
        connection.execute(sa.text("INSERT INTO articles VALUES (1000001, 'new')"))
    assert read(found, part=part, start=everything[19][0]) == everything[20:]


def test_text_keys_follow_the_databases_order(admin: sa.Engine, postgres: Any) -> None:
    fill(admin, [(key, f"text {key}") for key in ("b", "B", "ä", "a", "中")], "text")
    found = source(postgres.url)
    everything = read(found)
    assert [p[0] for p, _ in everything] == ["B", "a", "b", "ä", "中"]
    assert read(found, start=everything[1][0]) == everything[2:]
    with pytest.raises(DataError, match=r"holds text.*divided into 2 parts.*ROW_NUMBER"):
        read(found, part=Slice(0, 2))


def test_parameters_are_bound(admin: sa.Engine, postgres: Any) -> None:
    fill(admin, [(1, "x"), (2, "y'; DROP TABLE articles; --"), (3, "z")])
    query = "SELECT id, body FROM articles WHERE body = :wanted AND id > :least -- comment"
    parameters = {"wanted": "y'; DROP TABLE articles; --", "least": 0}
    assert len(read(source(postgres.url, query + "\n;", parameters=parameters))) == 1
    assert len(read(source(postgres.url, query, parameters=parameters))) == 1
    with pytest.raises(DataError, match=r"parameters: the query asks for :least; add"):
        read(source(postgres.url, query, parameters={"wanted": "x"}))


def test_a_killed_connection_costs_nothing(
    admin: sa.Engine, postgres: Any, caplog: pytest.LogCaptureFixture
) -> None:
    fill(admin, [(key, f"text {key} " + "x" * 500) for key in range(5000)])
    expected = read(source(postgres.url))
    keys, killed = [], 0
    victim = source(f"{postgres.url}?application_name=victim", batch_rows=50)
    with caplog.at_level(logging.WARNING):
        for position, _ in victim.documents(ReadReport()):
            keys.append(position)
            if len(keys) in (1, 1700, 3001, 4990):
                killed += kill(admin, "victim")
    assert keys == [position for position, _ in expected]
    assert killed == 4
    assert caplog.text.count("connection lost behind key") == 4
    assert "corr3ct" not in caplog.text


def test_a_server_that_stops_for_a_moment_is_waited_for(admin: sa.Engine, postgres: Any) -> None:
    fill(admin, [(key, f"text {key} " + "x" * 5000) for key in range(2000)])
    keys = []
    for position, _ in source(postgres.url, batch_rows=10).documents(ReadReport()):
        keys.append(position[0])
        if len(keys) == 1000:
            postgres.stop()
            postgres.start()
    assert keys == list(range(2000))


def test_a_server_that_stays_away_is_an_error_that_names_the_row(
    admin: sa.Engine, postgres: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mindmlm.data.sources.sql.RECONNECTIONS", 2)
    fill(admin, [(key, "x" * 5000) for key in range(2000)])
    stream = source(postgres.url, batch_rows=10).documents(ReadReport())
    next(stream)
    postgres.stop()
    try:
        with pytest.raises(DataError, match=r"cannot read the table behind the row with key \d+"):
            list(stream)
    finally:
        postgres.start()


def test_rows_are_not_all_in_memory(admin: sa.Engine, postgres: Any) -> None:
    with admin.begin() as connection:
        connection.execute(
            sa.text(
                "CREATE TABLE articles AS SELECT i AS id, repeat('word ', 2000) AS body "
                "FROM generate_series(1, 4000) AS i"
            )
        )
    tracemalloc.start()
    count = sum(1 for _ in source(postgres.url, batch_rows=20).documents(ReadReport()))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 4000
    assert peak < 8 << 20


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([(1, "a"), (2, "b"), (2, "c")], r"two rows with id 2; key_column must be unique"),
        ([(1, "a"), (None, "b")], r"key in id is null"),
    ],
)
def test_keys_that_cannot_hold_a_position(
    admin: sa.Engine, postgres: Any, rows: list[Any], message: str
) -> None:
    fill(admin, rows)
    with pytest.raises(DataError, match=message):
        read(source(postgres.url))


def test_keys_of_other_types_are_refused(admin: sa.Engine, postgres: Any) -> None:
    fill(admin, [(1.5, "a")], "numeric")
    with pytest.raises(DataError, match=r"of type Decimal; expected unique integers or text"):
        read(source(postgres.url))


def test_values_that_are_not_text(admin: sa.Engine, postgres: Any) -> None:
    fill(admin, [(1, "good"), (2, "ab"), (3, "more")])
    query = r"SELECT id, CASE id WHEN 2 THEN '\xff61'::bytea ELSE body\:\:bytea END AS body "
    query += "FROM articles"
    with pytest.raises(DataError, match=r"row with id 2: value that is not UTF-8.*byte 0.*on_err"):
        read(source(postgres.url, query))
    report = ReadReport()
    found = list(source(postgres.url, query, on_error="skip").documents(report))
    assert [d.lines for _, d in found] == [("good",), ("more",)]
    assert report.skipped == {"value that is not UTF-8 text": 1}


def test_a_bad_query_is_one_clear_line(admin: sa.Engine, postgres: Any) -> None:
    fill(admin, [(1, "a")])
    with pytest.raises(DataError, match=r"postgresql://127\.0\.0\.1:\d+/postgres: .*nowhere") as e:
        read(source(postgres.url, "SELECT id, body FROM nowhere"))
    assert "\n" not in str(e.value)
    with pytest.raises(DataError, match=r"column source\.body does not exist"):
        read(source(postgres.url, "SELECT id FROM articles"))


def test_identity_changes_with_the_rows(admin: sa.Engine, postgres: Any) -> None:
    fill(admin, [(1, "a")])
    before = source(postgres.url).identity()
    assert source(postgres.url).identity() == before
    with admin.begin() as connection:
        connection.execute(sa.text("INSERT INTO articles VALUES (2, 'b')"))
    assert source(postgres.url).identity() != before


def test_the_password_comes_from_a_file_and_goes_nowhere(
    admin: sa.Engine, postgres: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fill(admin, [(1, "a")])
    monkeypatch.delenv("MINDMLM_SQL_PASSWORD")
    secret = tmp_path / "credentials.yaml"
    secret.write_text("user: reader\npassword: corr3ct-horse\n")
    secret.chmod(0o600)
    url = postgres.url.replace("reader@", "")
    table = TableQuery(QUERY, "id", "body")
    found = SqlSource(Database(url, str(secret)), table)
    assert len(read(found)) == 1
    assert "corr3ct" not in repr(found) + str(found.identity()) + found.name
    secret.write_text("user: reader\npassword: wr0ng-horse\n")
    with pytest.raises(DataError, match="password authentication failed") as error:
        read(found)
    assert "wr0ng" not in str(error.value)
