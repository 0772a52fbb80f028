import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from json import dumps
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
import zstandard
from moto.server import ThreadedMotoServer

from mindmlm.data.report import ReadReport
from mindmlm.data.sources import object_store
from mindmlm.data.sources.datasets import FileDataset
from mindmlm.data.sources.locations import Location
from mindmlm.data.sources.object_store import KEY_NAMES, Access
from mindmlm.errors import DataError

SECRET = "a-secret-that-nobody-may-see"
LINES = "".join(f"第{n}行\n" for n in range(30_000)).encode()


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    client = boto3.client(
        "s3",
        endpoint_url=url,
        aws_access_key_id="key",
        aws_secret_access_key=SECRET,
        region_name="us-east-1",
    )
    client.create_bucket(Bucket="corpus")
    for name, content in {
        "news/train-1.txt": LINES,
        "news/train-2.jsonl.zst": zstandard.ZstdCompressor().compress(b'{"text": "last"}\n'),
        "news/valid.txt": b"valid\n",
        "news/deep/train.txt": b"deep\n",
        "news/odd #1.txt": b"odd\n",
        "bad.txt": b"one\n\xff\n",
    }.items():
        client.put_object(Bucket="corpus", Key=name, Body=content)
    yield url
    server.stop()


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for names in KEY_NAMES.values():
        for name, value in zip(names, ("key", SECRET, ""), strict=False):
            monkeypatch.setenv(name, value)


def read(url: str, endpoint: str, credentials_file: str = "") -> list[str]:
    dataset = FileDataset(Location(url, Access(endpoint, credentials_file)))
    documents = dataset.training().documents(ReadReport())
    return [line for _, document in documents for line in document.lines]


@pytest.mark.parametrize("scheme", ["s3", "oss", "obs"])
def test_files_folders_and_patterns(endpoint: str, scheme: str) -> None:
    lines = LINES.decode().splitlines()
    assert read(f"{scheme}://corpus/news/train-1.txt", endpoint) == lines
    assert read(f"{scheme}://corpus/news/", endpoint) == ["odd", *lines, "last"]
    assert read(f"{scheme}://corpus/*/*.zst", endpoint) == ["last"]
    assert read(f"{scheme}://corpus/news/odd #1.txt", endpoint) == ["odd"]
    dataset = FileDataset(Location(f"{scheme}://corpus/news", Access(endpoint)))
    evaluation = dataset.evaluation_beside_training()
    assert evaluation is not None
    assert evaluation.name == f"{scheme}://corpus/news/valid.txt"
    assert evaluation.size_bytes() == 6


def test_reading_goes_on_behind_a_position(endpoint: str) -> None:
    source = FileDataset(Location("s3://corpus/news", Access(endpoint))).training()
    everything = list(source.documents(ReadReport()))
    for index in (0, 20_000, 30_000):
        rest = source.documents(ReadReport(), start=everything[index][0])
        assert list(rest) == everything[index + 1 :]
    assert SECRET not in repr(source.identity())


def test_faults_name_address_and_line(endpoint: str) -> None:
    with pytest.raises(DataError, match=r"s3://corpus/bad\.txt:2: malformed UTF-8"):
        read("s3://corpus/bad.txt", endpoint)
    with pytest.raises(DataError, match=r"s3://corpus/none\.txt: no such file"):
        read("s3://corpus/none.txt", endpoint)
    with pytest.raises(DataError, match="no file matches"):
        read("s3://corpus/none*", endpoint)


def test_a_store_that_goes_away_names_the_line(
    endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = FileDataset(Location("s3://corpus/news/train-1.txt", Access(endpoint))).training()

    def fail(*_: object, **__: object) -> bytes:
        raise RuntimeError(f"connection reset, {SECRET}")

    monkeypatch.setattr("s3fs.core.S3File._fetch_range", fail)
    with pytest.raises(DataError, match=r"s3://corpus/.*: connection reset, \*\*\*$") as caught:
        list(source.documents(ReadReport()))
    assert SECRET not in str(caught.value)


def test_keys_come_from_a_private_file(
    endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in KEY_NAMES["s3"]:
        monkeypatch.delenv(name)
    path = tmp_path / "keys.yaml"
    path.write_text(f"AWS_ACCESS_KEY_ID: key\nAWS_SECRET_ACCESS_KEY: {SECRET}\n", encoding="utf-8")
    path.chmod(0o644)
    with pytest.raises(DataError, match="chmod 600"):
        read("s3://corpus/bad.txt", endpoint, str(path))
    path.chmod(0o600)
    assert read("s3://corpus/news/valid.txt", endpoint, str(path)) == ["valid"]


def test_nothing_secret_is_logged(endpoint: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        read("s3://corpus/news/train-1.txt", endpoint)
    assert SECRET not in caplog.text


@pytest.mark.parametrize(
    ("url", "match"),
    [
        ("s3://user:pass@corpus/a.txt", "keys do not belong in an address"),
        ("ftp://corpus/a.txt", r"ftp:// is not known; expected s3://, oss://"),
        ("oss://corpus/a.txt", "needs train_dataset.data_loader.endpoint_url"),
        ("hdfs:///a.txt", "needs a host"),
    ],
)
def test_addresses_that_cannot_work(url: str, match: str) -> None:
    with pytest.raises(DataError, match=match) as caught:
        read(url, "")
    assert "pass@" not in str(caught.value)


def test_an_unreachable_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr("s3fs.core.S3FileSystem.retries", 1)
    with pytest.raises(DataError, match=r"s3://corpus/a\.txt: cannot reach the store"):
        read("s3://corpus/a.txt", "http://127.0.0.1:9")


def test_stores_by_name_take_buckets_as_sub_domains() -> None:
    def style(scheme: str, endpoint_url: str) -> str:
        options = object_store._s3_options(scheme, ("", "", ""), Access(endpoint_url))
        return str(options["config_kwargs"]["s3"]["addressing_style"])

    assert style("oss", "https://oss-cn-hangzhou.aliyuncs.com") == "virtual"
    assert style("oss", "http://10.0.0.1:9000") == style("s3", "https://minio.example") == "auto"


class NameNode(BaseHTTPRequestHandler):
    """The part of WebHDFS that reading needs, over a folder."""

    root: Path

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        path = self.root / parts.path.removeprefix("/webhdfs/v1/").lstrip("/")
        if not path.exists():
            fault = {"exception": "FileNotFoundException", "message": "File does not exist"}
            return self._answer(404, dumps({"RemoteException": fault}).encode())
        operation = query["op"].upper()
        if operation == "OPEN":
            begin = int(query.get("offset", 0))
            end = begin + int(query["length"]) if "length" in query else None
            return self._answer(200, path.read_bytes()[begin:end])
        if operation == "GETFILESTATUS":
            return self._answer(200, dumps({"FileStatus": self._status(path, "")}).encode())
        statuses = [self._status(file, file.name) for file in sorted(path.iterdir())]
        return self._answer(200, dumps({"FileStatuses": {"FileStatus": statuses}}).encode())

    def _status(self, path: Path, name: str) -> dict[str, object]:
        kind = "DIRECTORY" if path.is_dir() else "FILE"
        stat = path.stat()
        return {
            "pathSuffix": name,
            "type": kind,
            "length": 0 if path.is_dir() else stat.st_size,
            "modificationTime": int(stat.st_mtime * 1000),
        }

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def test_hdfs_by_webhdfs(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "news"
    folder.mkdir(parents=True)
    (folder / "train.txt").write_bytes(LINES)
    (folder / "valid.txt").write_text("valid\n", encoding="utf-8")
    handler = type("Handler", (NameNode,), {"root": tmp_path})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        endpoint = f"http://127.0.0.1:{server.server_port}"
        lines = LINES.decode().splitlines()
        assert read("hdfs://namenode/data/news", endpoint) == lines
        assert read("hdfs://namenode/data/news/*.txt", endpoint) == [*lines, "valid"]
        with pytest.raises(DataError, match=r"hdfs://namenode/data/none: no such file"):
            read("hdfs://namenode/data/none", endpoint)
        source = FileDataset(Location("hdfs://namenode/data/news", Access(endpoint))).training()
        assert source.name == "hdfs://namenode/data/news/train.txt"
    finally:
        server.shutdown()
        server.server_close()
