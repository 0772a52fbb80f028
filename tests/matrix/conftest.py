"""One real text, wherever it lies and whatever it is written in."""

import csv
import gzip
import io
import json
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pyarrow as pa
import pytest
import sqlalchemy as sa
import zstandard
from moto.server import ThreadedMotoServer
from pyarrow import parquet

from mindmlm.data.samples import chinese_sample_path, english_topics
from mindmlm.testing.places import Place, Text
from mindmlm.testing.postgres import PASSWORD, PostgresServer
from mindmlm.tokenizers.bert import vocab_text
from mindmlm.tokenizers.vocab_training import train_vocab

TABLE = "CREATE TABLE matrix (number INTEGER, language TEXT, body TEXT)"
QUERY = "SELECT number, body FROM matrix WHERE language = :language"
FORMATS: dict[str, Callable[[list[str]], bytes]] = {}
COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "": lambda data: data,
    ".gz": gzip.compress,
    ".zst": lambda data: zstandard.ZstdCompressor().compress(data),
}


def _format(name: str) -> Callable[[Callable[[list[str]], bytes]], Callable[[list[str]], bytes]]:
    def add(encode: Callable[[list[str]], bytes]) -> Callable[[list[str]], bytes]:
        FORMATS[name] = encode
        return encode

    return add


@_format("txt")
def _txt(lines: list[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


@_format("jsonl")
def _jsonl(lines: list[str]) -> bytes:
    rows = ({"meta": n, "body": line} for n, line in enumerate(lines))
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


@_format("csv")
def _csv(lines: list[str]) -> bytes:
    stream = io.StringIO()
    csv.writer(stream).writerows([("number", "body"), *enumerate(lines)])
    return stream.getvalue().encode()


@_format("parquet")
def _parquet(lines: list[str]) -> bytes:
    stream = io.BytesIO()
    parquet.write_table(pa.table({"body": lines}), stream, row_group_size=17)
    return stream.getvalue()


@pytest.fixture(scope="session")
def text(tmp_path_factory: pytest.TempPathFactory) -> Text:
    folder = tmp_path_factory.mktemp("matrix")
    chinese = chinese_sample_path().read_text(encoding="utf-8").split("\n")
    english = [line for paragraphs in english_topics() for line in paragraphs]
    lines = [line for line in chinese if line][:90] + english[:60]
    lines[3] += ' "quoted", with a comma'
    (folder / "vocab.txt").write_text(vocab_text(train_vocab(lines, 1500, True)), encoding="utf-8")
    (folder / "plain.txt").write_bytes(_txt(lines))
    return Text(lines, folder)


@pytest.fixture(scope="session")
def endpoint(text: Text) -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    keys = {"aws_access_key_id": "key", "aws_secret_access_key": "secret"}
    client = boto3.client("s3", endpoint_url=url, region_name="us-east-1", **keys)
    # Servers in one process share their buckets; a test of another file has "corpus".
    client.create_bucket(Bucket="matrix")
    content = gzip.compress(_jsonl(text.lines))
    client.put_object(Bucket="matrix", Key="news/train.jsonl.gz", Body=content)
    yield url
    server.stop()


@pytest.fixture
def in_s3(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    loader = {"endpoint_url": endpoint, "text_field": "body"}
    return Place("s3://matrix/news/*.jsonl.gz", loader)


def _rows(text: Text) -> list[tuple[int, str, str]]:
    """Return the rows of the table; those of another language are not to be read."""
    rows = [(4 * n + 1, "zh", line) for n, line in enumerate(text.lines)]
    return rows + [(4 * n + 2, "en", line) for n, line in enumerate(text.lines)]


@pytest.fixture
def in_sqlite(text: Text) -> Place:
    path = text.folder / "matrix.db"
    if not path.exists():
        with sqlite3.connect(path) as connection:
            connection.execute(TABLE)
            connection.executemany("INSERT INTO matrix VALUES (?, ?, ?)", _rows(text))
        connection.close()
    return Place(loader=_table(f"sqlite:///{path}"))


@pytest.fixture(scope="session")
def filled_server(server: PostgresServer, text: Text) -> Iterator[PostgresServer]:
    url = sa.make_url(server.url).set(drivername="postgresql+psycopg", password=PASSWORD)
    # No connection is kept: other tests of this process stop and start the server.
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.execute(sa.text(TABLE))
        values = [dict(zip("abc", row, strict=True)) for row in _rows(text)]
        connection.execute(sa.text("INSERT INTO matrix VALUES (:a, :b, :c)"), values)
    yield server
    with engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE matrix"))


@pytest.fixture
def in_postgres(filled_server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setenv("MINDMLM_SQL_PASSWORD", PASSWORD)
    return Place(loader=_table(filled_server.url))


def _table(url: str) -> dict[str, Any]:
    return {
        "type": "SqlDataLoader",
        "url": url,
        "query": QUERY,
        "key_column": "number",
        "text_field": "body",
        "parameters": ["language=zh"],
    }


@pytest.fixture
def place(request: pytest.FixtureRequest, text: Text) -> Place:
    """The text in the place that the parameter names."""
    name: str = request.param
    if name in ("in_s3", "in_sqlite", "in_postgres"):
        found: Place = request.getfixturevalue(name)
        return found
    folder = text.folder / name.replace("*", "glob")
    if name == "stdin":
        return Place("-", stdin=_txt(text.lines))
    if name in ("folder", "glob"):
        folder.mkdir(exist_ok=True)
        half = len(text.lines) // 2
        (folder / "a.txt.gz").write_bytes(gzip.compress(_txt(text.lines[:half])))
        (folder / "b.jsonl").write_bytes(_jsonl(text.lines[half:]))
        loader = {"text_field": "body"}
        return Place(str(folder if name == "folder" else folder / "*.*"), loader)
    kind, _, compression = name.partition(".")
    path = text.folder / f"whole.{name}"
    suffix = f".{compression}" if compression else ""
    path.write_bytes(COMPRESSIONS[suffix](FORMATS[kind](text.lines)))
    return Place(str(path), {"text_field": "body"} if kind != "txt" else {})
