"""What is sent to databases that no test can start, and what may not be in a URL."""

from itertools import pairwise
from pathlib import Path

import pytest
import sqlalchemy as sa

from mindmlm.config.database_url import url_fault
from mindmlm.data.sources.base import Slice
from mindmlm.data.sources.secrets import read_secret_file
from mindmlm.data.sources.sql_connection import Database
from mindmlm.data.sources.sql_statement import KeyRange, TableQuery
from mindmlm.errors import DataError

HIVE = "hive://user@host:10000/pages"
ODPS = "odps://project/?endpoint=http://127.0.0.1:9/api"
MYSQL = "mysql://host/pages"
TABLE = TableQuery("SELECT id, body FROM t WHERE day = :day", "id", "body", {"day": "2024-01-01"})


def compiled(url: str, statement: sa.Select, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("MINDMLM_SQL_USER", "u")
    monkeypatch.setenv("MINDMLM_SQL_PASSWORD", "p")
    dialect = Database(url).engine().dialect
    return " ".join(str(statement.compile(dialect=dialect)).split())


@pytest.mark.parametrize(
    ("url", "module", "expected"),
    [
        (
            HIVE,
            "pyhive",
            "SELECT `source`.`id` AS `mindmlm_key`, `source`.`body` AS `mindmlm_text` FROM "
            "(SELECT id, body FROM t WHERE day = %(day)s ) AS `source` WHERE `source`.`id` > "
            "%(param_1)s AND `source`.`id` >= %(param_2)s AND `source`.`id` < %(param_3)s "
            "ORDER BY `mindmlm_key`",
        ),
        (
            ODPS,
            "odps",
            "SELECT source.id AS mindmlm_key, source.body AS mindmlm_text FROM (SELECT id, body "
            "FROM t WHERE day = :day ) AS source WHERE source.id > :param_1 AND source.id >= "
            ":param_2 AND source.id < :param_3 ORDER BY mindmlm_key",
        ),
        (
            MYSQL,
            "pymysql",
            "SELECT source.id AS mindmlm_key, source.body AS mindmlm_text FROM (SELECT id, body "
            "FROM t WHERE day = %(day)s ) AS source WHERE source.id > %(param_1)s AND source.id "
            ">= %(param_2)s AND source.id < %(param_3)s ORDER BY mindmlm_key",
        ),
    ],
)
def test_range(url: str, module: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip(module)
    statement = TABLE.rows(5, KeyRange(0, 10))
    assert compiled(url, statement, monkeypatch) == expected


@pytest.mark.parametrize(
    ("url", "module", "remainder"),
    [
        (HIVE, "pyhive", "(`source`.`id` %% %(id_1)s + %(param_1)s) %% %(param_2)s = %(param_3)s"),
        (ODPS, "odps", "(source.id % :id_1 + :param_1) % :param_2 = :param_3"),
        (MYSQL, "pymysql", "(source.id %% %(id_1)s + %(param_1)s) %% %(param_2)s = %(param_3)s"),
    ],
)
def test_modulo(url: str, module: str, remainder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip(module)
    text = compiled(url, TABLE.rows(modulo=Slice(1, 4)), monkeypatch)
    assert f" WHERE {remainder} ORDER BY " in text


def test_odps_is_told_to_order_without_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("odps")
    monkeypatch.setenv("MINDMLM_SQL_USER", "id")
    monkeypatch.setenv("MINDMLM_SQL_PASSWORD", "key")
    engine = Database(ODPS).engine()
    _, arguments = engine.dialect.create_connect_args(engine.url)
    assert arguments["hints"] == {"odps.sql.validate.orderby.limit": "false"}
    assert (arguments["access_id"], arguments["project"]) == ("id", "project")
    assert arguments["endpoint"] == "http://127.0.0.1:9/api"


@pytest.mark.parametrize("count", [1, 2, 3, 7])
@pytest.mark.parametrize("keys", [(0, 1), (-5, 5), (10, 1000), (0, 0)])
def test_pieces_of_a_key_range_touch(keys: tuple[int, int], count: int) -> None:
    whole = KeyRange(*keys)
    pieces = [whole.part(Slice(index, count)) for index in range(count)]
    assert (pieces[0].begin, pieces[-1].end) == keys
    assert all(a.end == b.begin for a, b in pairwise(pieces))


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:t0psecret@host/db",
        "postgresql://:t0psecret@host/db",
        "postgresql://host/db?password=t0psecret",
        "odps://project/?secret_access_key=t0psecret",
        "mysql+pymysql://host/db?a=b&PASSWD=t0psecret",
    ],
)
def test_a_password_in_the_url_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(DataError, match=r"holds a password.*MINDMLM_SQL_PASSWORD") as error:
        Database(url).engine()
    assert "t0psecret" not in str(error.value)


@pytest.mark.parametrize("url", ["", "text.db", "postgresql:/host", "://x"])
def test_what_is_no_url(url: str) -> None:
    assert "is no database URL" in url_fault(url)


def test_a_database_without_a_driver() -> None:
    with pytest.raises(DataError, match=r'oracle.*pip install "mindmlm\[sql\]"'):
        Database("nosuchdatabase://host/oracle").engine()


def test_a_secret_file_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("user: me\npassword: 's3cret'\n")
    path.chmod(0o640)
    with pytest.raises(DataError, match=r"mode 0640\); chmod 600"):
        read_secret_file(path, ("user", "password"))
    path.chmod(0o600)
    assert read_secret_file(path, ("user", "password")) == {"user": "me", "password": "s3cret"}


@pytest.mark.parametrize(
    "content", ["pass: s3cret", "- s3cret", "password: [s3cret", "password: 12345", "s3cret"]
)
def test_a_secret_file_with_something_else_is_not_quoted(tmp_path: Path, content: str) -> None:
    path = tmp_path / "secret"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(DataError) as error:
        read_secret_file(path, ("user", "password"))
    assert "s3cret" not in str(error.value)
    assert "12345" not in str(error.value)
