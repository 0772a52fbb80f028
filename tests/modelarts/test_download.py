"""Data come to a machine once, whole, or with an error that says why not."""

import json
import os
import random
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from mindmlm.errors import DataError
from mindmlm.modelarts import download
from mindmlm.modelarts.download import CopyError, Downloader
from mindmlm.modelarts.machine_lock import MachineLock, WaitedTooLongError
from mindmlm.modelarts.patience import Patience
from mindmlm.modelarts.platform import Platform
from mindmlm.modelarts.remote import open_remote

PROGRAM = Path(__file__).with_name("programs.py")
QUICK = Patience(2, 0.01)


def everything(name: str) -> bool:
    return True


@pytest.fixture
def downloader(cache) -> Downloader:
    platform = Platform(cache_root=cache, wait_seconds=0.5)
    return Downloader(platform, lambda text: None, QUICK)


class Counting:
    """A remote folder that counts what is read of it."""

    def __init__(self, url: str) -> None:
        self._remote = open_remote(url)
        self.url = self._remote.url
        self.read: list[str] = []

    def files(self):
        return self._remote.files()

    def download(self, name, target, advanced):
        self.read.append(name)
        self._remote.download(name, target, advanced)


def start(action: str, *words: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, str(PROGRAM), action, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_processes_of_one_machine_download_once(store, cache):
    drawn = random.Random(1)
    contents = {f"part-{n}": drawn.randbytes(200_000) for n in range(6)} | {"deep/er/x": b"x"}
    for name, data in contents.items():
        store.put(f"data/{name}", data)
    processes = [start("fetch", str(rank), "obs://bucket/data") for rank in range(4)]
    ends = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, ends
    folders = {out.strip() for out, _ in ends}
    assert len(folders) == 1
    folder = Path(folders.pop())
    assert folder.is_relative_to(cache)
    for name, data in contents.items():
        assert (folder / name).read_bytes() == data
    assert {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()} == set(contents)
    assert sum("downloading 7 files" in err for _, err in ends) == 1
    assert sum("downloading" in err and "waiting" not in err for _, err in ends) == 1


def test_only_what_has_changed_is_read_again(store, downloader):
    for name in ("a", "b", "c"):
        store.put(f"data/{name}", name.encode())
    remote = Counting("obs://bucket/data")
    folder = downloader.fetch(remote, "dataset", everything)
    assert sorted(remote.read) == ["a", "b", "c"]
    store.put("data/b", b"new")
    store.put("data/d", b"d")
    store.client.delete_object(Bucket="bucket", Key="data/c")
    (folder / "a").write_bytes(b"cut by a full disk")
    remote.read.clear()
    assert downloader.fetch(remote, "dataset", everything) == folder
    assert sorted(remote.read) == ["a", "b", "d"]
    found = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert found == {"a": b"a", "b": b"new", "d": b"d"}
    remote.read.clear()
    downloader.fetch(remote, "dataset", everything)
    assert remote.read == []


def test_a_download_that_was_killed_goes_on_where_it_was(store, downloader, monkeypatch):
    for name in ("a", "b", "c"):
        store.put(f"data/{name}", name.encode())
    remote = Counting("obs://bucket/data")
    monkeypatch.setattr(download, "_FILES_AT_ONCE", 1)
    whole = remote._remote.download

    def dies(name, target, advanced):
        if name == "c":
            target.write_bytes(b"half")
            raise OSError("connection reset")
        whole(name, target, advanced)

    monkeypatch.setattr(remote._remote, "download", dies)
    with pytest.raises(CopyError, match=r"obs://bucket/data/c: cannot be downloaded: connection"):
        downloader.fetch(remote, "dataset", everything)
    monkeypatch.setattr(remote._remote, "download", whole)
    remote.read.clear()
    folder = downloader.fetch(remote, "dataset", everything)
    assert remote.read == ["c"]
    assert sorted(path.name for path in folder.iterdir()) == ["a", "b", "c"]


def test_those_that_wait_learn_for_whom(tmp_path):
    path = tmp_path / "data.lock"
    holder = start("hold", "5", str(path))
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        said: list[str] = []
        with pytest.raises(WaitedTooLongError) as caught:
            MachineLock(path, "downloading", 1).take(0.5, said.append)
        named = f"rank 5 (process {holder.pid}, downloading obs://bucket/data, 3 of 8 bytes"
        assert named in str(caught.value)
        assert "MINDMLM_WAIT_SECONDS" in str(caught.value)
        assert len(said) == 1
        assert named in said[0]
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        # A dead process holds nothing.
        MachineLock(path, "downloading", 1).take(5, said.append)
    finally:
        holder.kill()
        holder.communicate()


def test_nothing_there_and_nothing_reachable(store, downloader, monkeypatch):
    with pytest.raises(DataError, match=r"obs://bucket/none: there are no such files"):
        downloader.fetch(open_remote("obs://bucket/none"), "dataset", everything)
    monkeypatch.setenv("S3_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr("s3fs.core.S3FileSystem.retries", 1)
    with pytest.raises(CopyError, match=r"obs://bucket/data: cannot be listed"):
        downloader.fetch(open_remote("obs://bucket/data"), "dataset", everything)


def test_a_wrong_key_says_which_variables_to_look_at(store, downloader):
    store.put("data/a", b"a")
    requests.post(f"{store.endpoint}/moto-api/reset-auth", data=b"0", timeout=10)
    try:
        with pytest.raises(DataError, match=r"access denied: .*OBS_ACCESS_KEY_ID"):
            downloader.fetch(open_remote("obs://bucket/data"), "dataset", everything)
    finally:
        requests.post(f"{store.endpoint}/moto-api/reset-auth", data=b"inf", timeout=10)


@pytest.mark.parametrize("seen_before", [True, False])
def test_a_full_disk(store, small_disk, monkeypatch, seen_before):
    store.put("data/large", os.urandom(2_000_000))
    if not seen_before:  # somebody else fills it meanwhile
        monkeypatch.setattr(download, "_check_room", lambda *_: None)
    one = Downloader(Platform(cache_root=small_disk), lambda text: None, QUICK)
    with pytest.raises(CopyError, match=r"2,000,000 bytes do not fit on the disk of .*MINDMLM_C"):
        one.fetch(open_remote("obs://bucket/data"), "dataset", everything)
    left = [path for path in small_disk.rglob("*") if path.is_file() and path.stat().st_size > 1000]
    assert left == []


def test_a_limit_on_the_size_of_files_is_a_full_disk(store, downloader):
    store.put("data/large", os.urandom(100_000))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        with pytest.raises(CopyError, match=r"100,000 bytes do not fit"):
            downloader.fetch(open_remote("obs://bucket/data"), "dataset", everything)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_ledger_that_was_damaged_costs_a_download_and_nothing_else(store, downloader, cache):
    store.put("data/a", b"a")
    remote = Counting("obs://bucket/data")
    folder = downloader.fetch(remote, "dataset", everything)
    ledger = folder.with_name(folder.name + ".json")
    assert json.loads(ledger.read_text())
    for damage in ("", "[1]", "{"):
        ledger.write_text(damage)
        remote.read.clear()
        downloader.fetch(remote, "dataset", everything)
        assert remote.read == ["a"]
