"""Object store, moxing and folder do the same."""

import random
import sys
from pathlib import Path

import pytest
import requests

from mindmlm.errors import DataError
from mindmlm.modelarts.patience import Patience
from mindmlm.modelarts.remote import (
    FolderRemote,
    MoxingRemote,
    StoreRemote,
    check_name,
    open_remote,
)

from . import moxing_stand_in
from .conftest import SECRET

KINDS = ["obs", "s3", "folder", "moxing", "moxing_whole"]


@pytest.fixture(params=KINDS)
def opened(request, store, tmp_path, monkeypatch):
    """A function: path in the remote place -> `Remote`."""
    kind = request.param
    if kind == "folder":
        return lambda path: open_remote(str(tmp_path / "remote" / path))
    if kind.startswith("moxing"):
        module = moxing_stand_in.module(tmp_path / "remote", kind == "moxing_whole")
        monkeypatch.setitem(sys.modules, "moxing", module)
    scheme = "obs" if kind.startswith("moxing") else kind
    return lambda path: open_remote(f"{scheme}://bucket/{path}")


def test_what_is_uploaded_is_listed_and_comes_back(opened, tmp_path):
    remote, neighbour = opened("job-1/"), opened("job-10")
    expected = {StoreRemote, FolderRemote, MoxingRemote}
    assert type(remote) in expected
    assert remote.files() == {}
    drawn = random.Random(3)
    contents = {
        name: drawn.randbytes(drawn.choice([0, 1, 70_000]))
        for name in ("a.txt", "log/rank_0.log", "checkpoint/step_00000004/模型 #1.bin")
    }
    source = tmp_path / "source"
    for name, data in contents.items():
        source.write_bytes(data)
        remote.upload(source, name)
    neighbour.upload(source, "b")
    listed = remote.files()
    assert {name: entry.size for name, entry in listed.items()} == {
        name: len(data) for name, data in contents.items()
    }
    for name, data in contents.items():
        come: list[int] = []
        remote.download(name, tmp_path / "back", come.append)
        assert (tmp_path / "back").read_bytes() == data
        assert sum(come) == len(data)
    source.write_bytes(b"changed")
    remote.upload(source, "a.txt")
    assert remote.files()["a.txt"] != listed["a.txt"]
    remote.delete("log/rank_0.log")
    remote.delete("never/there")
    assert set(remote.files()) == set(contents) - {"log/rank_0.log"}
    assert set(neighbour.files()) == {"b"}


def test_the_address_of_a_file_is_that_file(opened, tmp_path, request):
    if isinstance(opened("x"), FolderRemote):
        pytest.skip("files of this machine are not downloaded")
    source = tmp_path / "vocab.txt"
    source.write_bytes(b"[PAD]\n")
    opened("job").upload(source, "vocab.txt")
    single = opened("job/vocab.txt")
    assert list(single.files()) == ["vocab.txt"]
    single.download("vocab.txt", tmp_path / "back", lambda size: None)
    assert (tmp_path / "back").read_bytes() == b"[PAD]\n"


def test_what_cannot_be_downloaded_is_an_os_error(opened, tmp_path):
    remote = opened("job")
    (tmp_path / "a").write_bytes(b"1")
    remote.upload(tmp_path / "a", "a")
    remote.files()
    remote.delete("a")
    with pytest.raises(OSError):
        remote.download("a", tmp_path / "back", lambda size: None)


def test_refused_by_moxing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "moxing", moxing_stand_in.module(tmp_path))
    (tmp_path / "a").write_bytes(b"1")
    with pytest.raises(PermissionError, match="AccessDenied"):
        open_remote("obs://bucket/forbidden").upload(tmp_path / "a", "a")


@pytest.fixture
def guarded(store):
    """The server checks keys and signatures from now on."""
    requests.post(f"{store.endpoint}/moto-api/reset-auth", data=b"0", timeout=10)
    yield store
    requests.post(f"{store.endpoint}/moto-api/reset-auth", data=b"inf", timeout=10)


def test_a_wrong_key_is_refused_at_once_and_not_shown(guarded, tmp_path):
    (tmp_path / "a").write_bytes(b"1")
    remote = open_remote("obs://bucket/job")
    tries: list[int] = []

    def upload() -> None:
        tries.append(1)
        remote.upload(tmp_path / "a", "a")

    with pytest.raises(PermissionError) as caught:
        Patience()("upload", upload)
    assert len(tries) == 1
    assert SECRET not in str(caught.value)
    with pytest.raises(PermissionError):
        remote.files()


def test_patience_tries_again_and_gives_up():
    tries: list[int] = []

    def fails(times: int) -> str:
        tries.append(1)
        if len(tries) <= times:
            raise OSError("connection reset")
        return "done"

    assert Patience(3, 0.001)("it", lambda: fails(2)) == "done"
    assert len(tries) == 3
    tries.clear()
    with pytest.raises(OSError, match="connection reset"):
        Patience(3, 0.001)("it", lambda: fails(9))
    assert len(tries) == 3


@pytest.mark.parametrize("name", ["../a", "/etc/passwd", "a/../../b", ""])
def test_a_listing_does_not_lead_out_of_its_folder(name):
    with pytest.raises(DataError, match="is refused"):
        check_name(name, "obs://bucket")
    assert check_name("a/b..c", str(Path("x"))) == "a/b..c"
