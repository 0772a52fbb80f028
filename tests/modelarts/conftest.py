"""An object store on loopback, and jobs as the platform starts them."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from mindmlm.data.sources.object_store import KEY_NAMES

SECRET = "a-secret-that-nobody-may-see"


@dataclass(frozen=True)
class Store:
    """A bucket named `bucket` of a real S3 server."""

    endpoint: str
    client: Any

    def put(self, key: str, data: bytes) -> None:
        self.client.put_object(Bucket="bucket", Key=key, Body=data)

    def get(self, key: str) -> bytes:
        data: bytes = self.client.get_object(Bucket="bucket", Key=key)["Body"].read()
        return data

    def names(self, prefix: str = "") -> list[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(
            Bucket="bucket", Prefix=prefix
        )
        return [item["Key"] for page in pages for item in page.get("Contents", [])]


@pytest.fixture(scope="session")
def server() -> Iterator[tuple[str, Any]]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    keys = {"aws_access_key_id": "key", "aws_secret_access_key": SECRET}
    yield url, boto3.client("s3", endpoint_url=url, region_name="us-east-1", **keys)
    server.stop()


@pytest.fixture
def store(server: tuple[str, Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """An empty bucket, and the variables that ModelArts sets for it."""
    endpoint, client = server
    client.create_bucket(Bucket="bucket")
    for name in (name for names in KEY_NAMES.values() for name in names):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("S3_ENDPOINT", endpoint)
    monkeypatch.setenv("S3_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("S3_SECRET_ACCESS_KEY", SECRET)
    found = Store(endpoint, client)
    yield found
    for key in found.names():
        client.delete_object(Bucket="bucket", Key=key)
    client.delete_bucket(Bucket="bucket")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands for /cache."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("MINDMLM_CACHE_ROOT", str(folder))
    monkeypatch.setenv("MINDMLM_UPLOAD_SECONDS", "0.3")
    return folder


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(words, capture_output=True).returncode:
        pytest.skip("this process may not mount a disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def rank_table(path: Path, size: int, servers: int = 1) -> Path:
    """A table of processes, as the platform writes one of cards."""
    from mindmlm.runtime.rank_table import for_processes

    path.write_text(for_processes(size, servers).to_json(), encoding="utf-8")
    return path


def steps_of(lines: bytes) -> list[int]:
    """The steps of the training lines of a metrics file."""
    return [line["step"] for line in map(json.loads, lines.splitlines()) if "loss" in line]
